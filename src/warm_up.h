/*-------------------------------------------------------------------------
 *
 * warm_up.h
 *	  What libjwt and OpenSSL set up at their first use, set up once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_WARM_UP_H
#define TN_WARM_UP_H

extern int	tn_warm_up(void);

#endif							/* TN_WARM_UP_H */
