/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses unit names and status texts of sessions. sessions.c and end.c call it.
 */
#include "status/session_text.h"

#include <ctype.h>

#define PREFIX "proxxy@"
#define SUFFIX ".service"

enum {
	PREFIX_LEN = sizeof(PREFIX) - 1,
	SUFFIX_LEN = sizeof(SUFFIX) - 1,
};

/* The letters of addresses with ports, and of credentials. */
static bool is_instance_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == ':' || c == '.';
}

bool session_is_unit(struct slice name)
{
	struct slice instance;
	size_t digits = 0; /* of the connection's number */

	if (!name.at || name.len <= PREFIX_LEN + SUFFIX_LEN || name.len > SESSION_UNIT_MAX ||
	    memcmp(name.at, PREFIX, PREFIX_LEN) != 0 ||
	    memcmp(name.at + name.len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) != 0)
		return false;
	instance = (struct slice){ name.at + PREFIX_LEN, name.len - PREFIX_LEN - SUFFIX_LEN };
	while (digits < instance.len && isdigit((unsigned char)instance.at[digits]))
		digits++;
	if (digits == 0 || (digits < instance.len && instance.at[digits] != '-'))
		return false;
	for (size_t i = digits; i < instance.len; i++)
		if (!is_instance_char(instance.at[i]))
			return false;
	return true;
}

/* If *at begins with text, moves *at behind it and returns true. */
static bool skip(const char **at, const char *text)
{
	const size_t len = strlen(text);

	if (strncmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

/* Takes a word: visible characters but ';'. Returns false if there is none. */
static bool take_word(const char **at, struct slice *ret)
{
	const char *begin = *at;

	while (**at > ' ' && **at < 0x7F && **at != ';')
		(*at)++;
	*ret = (struct slice){ begin, (size_t)(*at - begin) };
	return ret->len > 0;
}

/* Takes a JSON string with its quotation marks. Returns false if there is no whole one. */
static bool take_string(const char **at, struct slice *ret)
{
	const char *begin = *at, *end = begin + 1;

	if (*begin != '"')
		return false;
	while (*end && *end != '"')
		end += end[0] == '\\' && end[1] ? 2 : 1;
	if (*end != '"')
		return false;
	*at = end + 1;
	*ret = (struct slice){ begin, (size_t)(*at - begin) };
	return true;
}

/* Takes the part behind "; ": sub, jti and kid in this order, at least one. */
static bool take_names(const char **at, struct session_text *ret)
{
	const struct {
		const char *name;
		struct slice *value;
	} names[] = { { "sub ", &ret->sub }, { "jti ", &ret->jti }, { "kid ", &ret->kid } };
	bool any = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *before = *at;

		if ((any && !skip(at, ", ")) || !skip(at, names[i].name)) {
			*at = before;
			continue;
		}
		if (!take_string(at, names[i].value))
			return false;
		any = true;
	}
	return any;
}

bool session_parse(const char *text, struct session_text *ret)
{
	struct session_text t = { 0 };
	const char *at = text;

	if (!take_word(&at, &t.type) || !skip(&at, " ") || !take_word(&at, &t.vmid) || !slice_is_digits(t.vmid) ||
	    !skip(&at, " on ") || !take_word(&at, &t.place))
		return false;
	if (skip(&at, " for ") && !take_word(&at, &t.client))
		return false;
	if (skip(&at, "; ") && !take_names(&at, &t))
		return false;
	if (*at)
		return false;
	*ret = t;
	return true;
}
