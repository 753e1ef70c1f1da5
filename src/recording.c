/*-------------------------------------------------------------------------
 *
 * recording.c
 *	  Rows of the audit log: who changed what.
 *
 * Every change of authority writes one in its own transaction, so that there
 * is no change without its row, and no row without its change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "datums.h"
#include "recording.h"
#include "session.h"

static void
put_uuid(Datum *value, bool *isnull, const pg_uuid_t *uuid)
{
	*isnull = false;
	*value = tn_uuid_datum(uuid);
}

/*
 * Fills in what a row says of the caller, in the current memory context; the
 * other columns become null.  Both arrays have TN_AUDIT_COLUMNS.
 */
void
tn_record_actor(Datum *values, bool *nulls)
{
	const TnSession *session = tn_session();
	const TnVerifiedToken *token = session->token;

	memset(nulls, true, TN_AUDIT_COLUMNS * sizeof(bool));
	if (session->has_user)
		put_uuid(&values[TN_AUDIT_USER_ID], &nulls[TN_AUDIT_USER_ID], &session->user_id);
	if (token != NULL && token->verdict == TN_VERDICT_GOOD)
	{
		tn_put_text(&values[TN_AUDIT_ISSUER], &nulls[TN_AUDIT_ISSUER], token->issuer);
		tn_put_text(&values[TN_AUDIT_SUBJECT], &nulls[TN_AUDIT_SUBJECT], token->subject);
		tn_put_text(&values[TN_AUDIT_SESSION_ID], &nulls[TN_AUDIT_SESSION_ID], token->session_id);
	}
	if (session->has_superadmin)
		put_uuid(&values[TN_AUDIT_ACTING_SUPERADMIN], &nulls[TN_AUDIT_ACTING_SUPERADMIN],
				 &session->superadmin_id);
	tn_put_text(&values[TN_AUDIT_IMPERSONATED_BY], &nulls[TN_AUDIT_IMPERSONATED_BY],
			 tn_session_impersonator(session));
	tn_put_text(&values[TN_AUDIT_DATABASE_ROLE], &nulls[TN_AUDIT_DATABASE_ROLE],
			 GetUserNameFromId(GetOuterUserId(), false));
}

/*
 * Writes a row, with the rights of the current user; its id and time are the
 * table's defaults.
 */
void
tn_record_change(Datum *values, bool *nulls)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, JSONBOID, JSONBOID
	};
	char		marks[TN_AUDIT_COLUMNS + 1] = {0};

	StaticAssertStmt(lengthof(types) == TN_AUDIT_COLUMNS - TN_AUDIT_ORG_ID,
					 "every column but id and at has a type");

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (plan == NULL)
	{
		SPIPlanPtr	new_plan = SPI_prepare("INSERT INTO tenancy.audit_events (org_id, user_id, issuer, subject, session_id,"
										   " acting_superadmin, impersonated_by, database_role, action, target, old_values, new_values)"
										   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
										   lengthof(types), types);

		if (new_plan == NULL || SPI_keepplan(new_plan) != 0)
			elog(ERROR, "could not prepare statement: %s", SPI_result_code_string(SPI_result));
		plan = new_plan;
	}
	for (int i = TN_AUDIT_ORG_ID; i < TN_AUDIT_COLUMNS; i++)
		marks[i - TN_AUDIT_ORG_ID] = nulls[i] ? 'n' : ' ';
	if (SPI_execute_plan(plan, &values[TN_AUDIT_ORG_ID], marks, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write a row of the audit log");
	SPI_finish();
}
