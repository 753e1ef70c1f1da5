/*-------------------------------------------------------------------------
 *
 * names.c
 *	  Names that people read.
 *
 * By code points: what a locale calls white space differs from server to
 * server.  Our databases are in UTF-8, see sql/schema/00_header.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "mb/pg_wchar.h"

#include "names.h"

/*
 * What people do not see: control characters, spaces of all widths, what has
 * no width, fillers, selectors and tags.
 */
static const struct
{
	pg_wchar	first;
	pg_wchar	last;
}			unseen[] =
{
	{0x0001, 0x0020}, {0x007f, 0x00a0}, {0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x061c, 0x061c},
	{0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x2000, 0x200f},
	{0x2028, 0x202f}, {0x205f, 0x206f}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164},
	{0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
	{0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}
};

static bool
is_unseen(pg_wchar c)
{
	for (int i = 0; i < lengthof(unseen); i++)
	{
		if (c >= unseen[i].first && c <= unseen[i].last)
			return true;
	}
	return false;
}

/*
 * A name from the first character that people see on; NULL if they see none.
 */
const char *
tn_strip_blank(const char *name)
{
	while (*name != '\0' && is_unseen(utf8_to_unicode((const unsigned char *) name)))
		name += pg_utf_mblen((const unsigned char *) name);
	return *name == '\0' ? NULL : name;
}
