/*-------------------------------------------------------------------------
 *
 * session.h
 *	  Who is this, in which org, and in which state: the one accessor.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_SESSION_H
#define TN_SESSION_H

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "verification.h"

typedef enum TnStatus
{
	TN_STATUS_ANONYMOUS,
	TN_STATUS_INVALID,
	TN_STATUS_EXPIRED,
	TN_STATUS_REVOKED,
	TN_STATUS_UNPROVISIONED,
	TN_STATUS_DISABLED,
	TN_STATUS_NO_ORG,
	TN_STATUS_PICK_ORG,
	TN_STATUS_NOT_A_MEMBER,
	TN_STATUS_ORG_SUSPENDED,
	TN_STATUS_ORG_ARCHIVED,
	TN_STATUS_ACTIVE
} TnStatus;

/*
 * The state of the session.  It is session.c's: valid until the next call
 * into session.c.
 */
typedef struct TnSession
{
	TnStatus	status;
	uint64		version;		/* another one whenever anything below may differ */
	const TnVerifiedToken *token;	/* NULL for ANONYMOUS */

	bool		has_user;		/* from DISABLED on, and for REVOKED */
	pg_uuid_t	user_id;
	bool		is_superadmin;	/* never for a DISABLED or REVOKED one, nor while acting as another */

	/*
	 * By act_as(): who really acts, while user_id, org and roles are those of
	 * the user they act as.  DISABLED if the impersonation is over.
	 */
	bool		has_superadmin;
	pg_uuid_t	superadmin_id;
	pg_uuid_t	impersonation_id;
	TimestampTz impersonation_expires_at;
	bool		impersonation_over;
	bool		read_only;
	char	   *email;			/* of user_id, if has_superadmin; else the token's counts */

	bool		has_org;		/* for ORG_SUSPENDED, ORG_ARCHIVED and ACTIVE */
	pg_uuid_t	org_id;
	bool		entered;		/* a superadmin in an org of others; with has_org */
	int			n_roles;		/* for ACTIVE */
	pg_uuid_t  *role_ids;		/* in the order of their bytes */

	/* What session() returns of it, if that was asked before. */
	MemoryContext context;		/* as long-lived as the rest; NULL if it is not kept */
	HeapTupleHeader row;
} TnSession;

/*
 * What the rows that a query returns depend on.  Its padding is zero.
 */
typedef struct TnIdentity
{
	TnStatus	status;
	pg_uuid_t	user_id;
	pg_uuid_t	org_id;
	bool		cross_org;
	bool		read_only;
} TnIdentity;

/*
 * How often the session was asked for in this backend: what runs between two
 * equal values does not depend on the identity.
 */
extern uint64 tn_session_uses;

extern const TnSession *tn_session(void);
extern void tn_session_keep_row(const TnSession *session, HeapTupleHeader row);
extern void tn_session_announce(void);
extern const TnSession *tn_session_trusted(void);
extern const TnSession *tn_session_of_user(void);
extern const TnSession *tn_session_of_user_for_change(void);
pg_noreturn extern void tn_session_raise(const TnSession *session);
extern bool tn_session_is_administrator(const TnSession *session);
extern bool tn_session_is_fresh(const TnSession *session, const Interval *max_age);
extern const char *tn_session_impersonator(const TnSession *session);
extern void tn_session_identity(const TnSession *session, TnIdentity *identity);

static inline bool
tn_session_same_identity(const TnIdentity *a, const TnIdentity *b)
{
	return memcmp(a, b, sizeof(TnIdentity)) == 0;
}

extern const char *tn_status_name(TnStatus status);
extern const char *tn_status_next_step(TnStatus status);

#endif							/* TN_SESSION_H */
