/* SPDX-License-Identifier: Apache-2.0
 *
 * Recognizes tokens and splits lists in the values of header fields.
 */
#include "lib/http_list.h"

bool http_is_tchar(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!http_is_tchar(s.at[i]))
			return false;
	return s.len > 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct slice http_trim(struct slice s)
{
	while (s.len > 0 && is_space(s.at[0]))
		s.at++, s.len--;
	while (s.len > 0 && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool http_list_next(struct slice *list, struct slice *ret_element)
{
	const char *comma;

	if (!list->at)
		return false;
	comma = memchr(list->at, ',', list->len);
	*ret_element = (struct slice){ list->at, comma ? (size_t)(comma - list->at) : list->len };
	if (comma)
		*list = (struct slice){ comma + 1, list->len - ret_element->len - 1 };
	else
		*list = (struct slice){ NULL, 0 };
	*ret_element = http_trim(*ret_element);
	return true;
}

bool http_list_has(struct slice list, const char *token)
{
	struct slice element;

	while (http_list_next(&list, &element))
		if (slice_is_nocase(element, token))
			return true;
	return false;
}
