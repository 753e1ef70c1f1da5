/*-------------------------------------------------------------------------
 *
 * harness.h
 *	  The least of a test harness: TAP lines and an exit status.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_HARNESS_H
#define TN_HARNESS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int	tests_run = 0;
static int	tests_failed = 0;

/* Reports one test under a printf-style name; returns whether it passed. */
static bool __attribute__((format(printf, 2, 3)))
ok(bool passed, const char *name,...)
{
	va_list		args;

	tests_run++;
	if (!passed)
		tests_failed++;

	printf("%sok %d - ", passed ? "" : "not ", tests_run);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	putchar('\n');
	return passed;
}

/* Prints the plan; the value is main's to return. */
static int
done_testing(void)
{
	printf("1..%d\n", tests_run);
	if (tests_failed > 0)
		printf("# %d of %d tests failed\n", tests_failed, tests_run);
	return tests_failed > 0;
}

#endif							/* TN_HARNESS_H */
