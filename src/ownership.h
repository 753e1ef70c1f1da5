/*-------------------------------------------------------------------------
 *
 * ownership.h
 *	  Statements on a table, run as its owner or as some other role.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_OWNERSHIP_H
#define TN_OWNERSHIP_H

extern uint64 tn_run_as_owner(Oid relid, const char *sql, Oid argtype, Datum arg, char **answer);
extern uint64 tn_run_as_role(Oid role, Oid relid, const char *sql);
extern bool tn_running_as_owner(void);

#endif							/* TN_OWNERSHIP_H */
