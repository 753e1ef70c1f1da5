/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The tenancy.* settings and what their hooks leave behind.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_SETTINGS_H
#define TN_SETTINGS_H

/*
 * One value that a setting was given.  It is the `extra` block that guc.c
 * keeps beside the value and brings back with it, so that SAVEPOINT, SET
 * LOCAL, a function's SET clause and ROLLBACK restore it for free.
 */
typedef struct TnSettingValue
{
	uint64		serial;			/* never given twice in this backend */
	/* Where session.c found the token's cache entry last; its to write. */
	uint64		entry_id;
	int			entry_slot;
} TnSettingValue;

typedef enum TnTokenScope
{
	TN_SCOPE_SESSION,
	TN_SCOPE_TRANSACTION
} TnTokenScope;

/* What tenancy.session_token becomes when it was given too long a value. */
#define TN_TOKEN_SETTING "tenancy.session_token"

#define TN_OVERSIZE_TOKEN "(longer than a token may be)"

extern char *tn_session_token;
extern TnSettingValue *tn_session_token_value;	/* NULL when there is none */
extern char *tn_org;
extern uint64 tn_org_serial;	/* 0 when there is none */
extern char *tn_impersonation;
extern uint64 tn_impersonation_serial;	/* 0 when there is none */
extern bool tn_cross_org;
extern int	tn_token_scope;
extern int	tn_clock_skew;		/* seconds */
extern char *tn_superadmin_emails;
extern int	tn_session_cache_size;	/* tokens */

extern void tn_settings_init(void);
extern void tn_settings_set_token(const char *token);
extern bool tn_settings_token_outlives_transaction(void);
extern void tn_settings_set_org(const char *org, bool as_token);
extern void tn_settings_set_impersonation(const char *id, bool as_token);

#endif							/* TN_SETTINGS_H */
