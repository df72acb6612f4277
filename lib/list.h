/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over a comma-separated list, the format of list settings.
 */
#ifndef PROXXY_LIST_H
#define PROXXY_LIST_H

#include <stddef.h>
#include <string.h>

/* Returns the next item of *list, and moves *list behind it. Sets *ret_len to its length without
 * surrounding spaces and tabs. The item is not NUL-terminated. Returns NULL at the end of the
 * list. */
static inline const char *list_next(const char **list, size_t *ret_len)
{
	const char *item = *list + strspn(*list, " \t");

	if (*item == '\0')
		return NULL;
	*ret_len = strcspn(item, ",");
	*list = item + *ret_len + (item[*ret_len] == ',');
	while (*ret_len > 0 && (item[*ret_len - 1] == ' ' || item[*ret_len - 1] == '\t'))
		--*ret_len;
	return item;
}

#endif
