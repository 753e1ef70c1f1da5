/*-------------------------------------------------------------------------
 *
 * errcodes.h
 *	  The SQLSTATEs that are our own; docs/reference.md lists them all.
 *
 * Identity errors are a subclass of 28, "invalid authorization", as
 * PostgreSQL's own 28P01 is, so that drivers and gateways know what they are.
 * States of the domain are class TN.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_ERRCODES_H
#define TN_ERRCODES_H

#define TN_ERRCODE_NO_TOKEN				MAKE_SQLSTATE('2','8','T','0','1')
#define TN_ERRCODE_MALFORMED_TOKEN		MAKE_SQLSTATE('2','8','T','0','2')
#define TN_ERRCODE_BAD_SIGNATURE		MAKE_SQLSTATE('2','8','T','0','3')
#define TN_ERRCODE_TOKEN_TIME			MAKE_SQLSTATE('2','8','T','0','4')
#define TN_ERRCODE_WRONG_ISSUER			MAKE_SQLSTATE('2','8','T','0','5')
#define TN_ERRCODE_UNKNOWN_KEY			MAKE_SQLSTATE('2','8','T','0','6')
#define TN_ERRCODE_REVOKED_TOKEN		MAKE_SQLSTATE('2','8','T','0','7')

#define TN_ERRCODE_NOT_PROVISIONED		MAKE_SQLSTATE('T','N','0','0','1')
#define TN_ERRCODE_ORG_REQUIRED			MAKE_SQLSTATE('T','N','0','0','2')
#define TN_ERRCODE_ORG_SUSPENDED		MAKE_SQLSTATE('T','N','0','0','3')
#define TN_ERRCODE_ORG_ARCHIVED			MAKE_SQLSTATE('T','N','0','0','4')
#define TN_ERRCODE_NOT_A_MEMBER			MAKE_SQLSTATE('T','N','0','0','5')
/* Raised by SQL functions. */
#define TN_ERRCODE_LAST_ADMIN			MAKE_SQLSTATE('T','N','0','0','6')
#define TN_ERRCODE_UNUSABLE_INVITATION	MAKE_SQLSTATE('T','N','0','0','7')

#endif							/* TN_ERRCODES_H */
