/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What the fuzz targets share: memory of one run, and what must hold.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_FUZZ_H
#define TN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frees all that palloc gave out. */
extern void forget_memory(void);

/* libFuzzer keeps the input that led here. */
#define MUST(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: it must hold that %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif							/* TN_FUZZ_H */
