/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  palloc for a fuzz target: what a run allocates goes when it ends.
 *
 * claims.c leaves freeing to its memory context, which a program has none of;
 * millions of runs would fill the memory.  The linker puts these functions in
 * the place of libpgcommon's (--wrap).  Each block is one of malloc's, so that
 * the address sanitizer sees its end.
 *
 * Nor is memory short here.  To find that out is a large allocation for each
 * refusal, which under the sanitizer takes longer than all the rest.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

typedef struct Block
{
	struct Block *next;
	struct Block *previous;
} Block;

static Block blocks = {&blocks, &blocks};

void	   *__wrap_palloc(size_t size);
void	   *__wrap_palloc0(size_t size);
void	   *__wrap_repalloc(void *pointer, size_t size);
char	   *__wrap_pstrdup(const char *text);
void		__wrap_pfree(void *pointer);
bool		__wrap_tn_memory_is_short(void);

static void *
keep(Block *block)
{
	if (block == NULL)
		abort();
	block->next = &blocks;
	block->previous = blocks.previous;
	blocks.previous->next = block;
	blocks.previous = block;
	return block + 1;
}

static Block *
take(void *pointer)
{
	Block	   *block = (Block *) pointer - 1;

	block->previous->next = block->next;
	block->next->previous = block->previous;
	return block;
}

void *
__wrap_palloc(size_t size)
{
	return keep(malloc(sizeof(Block) + size));
}

void *
__wrap_palloc0(size_t size)
{
	return keep(calloc(1, sizeof(Block) + size));
}

void *
__wrap_repalloc(void *pointer, size_t size)
{
	return keep(realloc(take(pointer), sizeof(Block) + size));
}

char *
__wrap_pstrdup(const char *text)
{
	size_t		size = strlen(text) + 1;

	return memcpy(__wrap_palloc(size), text, size);
}

void
__wrap_pfree(void *pointer)
{
	free(take(pointer));
}

bool
__wrap_tn_memory_is_short(void)
{
	return false;
}

void
forget_memory(void)
{
	while (blocks.next != &blocks)
		__wrap_pfree(blocks.next + 1);
}
