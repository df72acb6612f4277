/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses request targets and their queries, and percent-encodes text.
 */
#include "lib/uri.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/hex.h"

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~", c));
}

/* Returns true for unreserved characters, sub-delims and complete percent-escapes (RFC 3986 section
 * 3.2.2). */
static bool is_reg_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c == '%' && i + 2 < s.len && hex_digit(s.at[i + 1]) >= 0 && hex_digit(s.at[i + 2]) >= 0)
			i += 2;
		else if (!is_unreserved(c) && (c == '\0' || !strchr("!$&'()*+,;=", c)))
			return false;
	}
	return true;
}

bool uri_is_authority(struct slice s)
{
	const char *end = s.at + s.len, *colon;

	if (s.len > 0 && s.at[0] == '[') {
		const char *bracket = memchr(s.at, ']', s.len);

		if (!bracket || bracket == s.at + 1)
			return false;
		for (const char *p = s.at + 1; p < bracket; p++)
			if (hex_digit(*p) < 0 && *p != ':' && *p != '.')
				return false;
		colon = bracket + 1;
		if (colon < end && *colon != ':')
			return false;
	} else {
		colon = memchr(s.at, ':', s.len);
		colon = colon ? colon : end;
		if (!is_reg_name((struct slice){ s.at, (size_t)(colon - s.at) }))
			return false;
	}
	return colon == end || slice_is_digits((struct slice){ colon + 1, (size_t)(end - colon - 1) });
}

int uri_to_origin_form(struct slice *target)
{
	static const char *const schemes[] = { "http://", "https://" };
	const char *end = target->at + target->len;

	if (target->at[0] == '/')
		return OK;
	for (size_t i = 0; i < 2; i++) {
		const size_t n = strlen(schemes[i]);
		struct slice authority = { target->at + n, 0 };

		if (target->len < n || strncasecmp(target->at, schemes[i], n) != 0)
			continue;
		while (authority.at + authority.len < end && !strchr("/?", authority.at[authority.len]))
			authority.len++;
		/* In an http URI the host must not be empty (RFC 9110 section 4.2.1). */
		if (authority.len == 0 || authority.at[0] == ':' || !uri_is_authority(authority))
			break;
		*target = (struct slice){ authority.at + authority.len, (size_t)(end - authority.at) - authority.len };
		return OK;
	}
	return ERR_REQUEST_MALFORMED;
}

struct slice uri_path(struct slice target)
{
	const char *query = memchr(target.at, '?', target.len);

	return (struct slice){ target.at, query ? (size_t)(query - target.at) : target.len };
}

/* Decodes '+' and %XX. Returns the length or an error as uri_query(). */
static int form_decode(struct slice s, char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (n + 1 >= size)
			return ERR_REQUEST_TOO_LARGE;
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < s.len ? hex_digit(s.at[i + 1]) : -1;
			int low = i + 2 < s.len ? hex_digit(s.at[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return ERR_REQUEST_MALFORMED;
			c = (char)(high << 4 | low);
			i += 2;
		}
		buf[n++] = c;
	}
	buf[n] = '\0';
	return (int)n;
}

int uri_query(struct slice target, const char *name, char *buf, size_t size)
{
	struct slice path = uri_path(target);
	const char *at = path.at + path.len, *end = target.at + target.len;

	while (at < end) {
		const char *begin = at + 1; /* after the '?' or '&' */
		const char *stop = memchr(begin, '&', (size_t)(end - begin));
		const char *equals;
		struct slice value = { NULL, 0 };
		int rc;

		at = stop ? stop : end;
		equals = memchr(begin, '=', (size_t)(at - begin));
		if (equals)
			value = (struct slice){ equals + 1, (size_t)(at - equals - 1) };
		/* A name that is too long or malformed cannot be the one that we look for. */
		rc = form_decode((struct slice){ begin, (size_t)((equals ? equals : at) - begin) }, buf, size);
		if (rc >= 0 && strcmp(buf, name) == 0)
			return form_decode(value, buf, size);
	}
	return 0;
}

int uri_percent_encode(const char *text, char *buf, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (const char *p = text; *p; p++) {
		const uint8_t c = (uint8_t)*p;
		const bool unreserved = is_unreserved(*p);

		if (n + (unreserved ? 1 : 3) >= size)
			return ERR_SYSTEM;
		if (unreserved) {
			buf[n++] = (char)c;
		} else {
			buf[n++] = '%';
			buf[n++] = digits[c >> 4];
			buf[n++] = digits[c & 15];
		}
	}
	buf[n] = '\0';
	return (int)n;
}

bool uri_append(char *text, size_t size, const char *before, const char *value)
{
	const size_t at = strlen(text), len = strlen(before);

	if (len >= size - at)
		return false;
	memcpy(text + at, before, len + 1);
	return uri_percent_encode(value, text + at + len, size - at - len) >= 0;
}

bool uri_names_a_page(const char *url)
{
	static const char end[] = ".html";
	const size_t len = strlen(url);

	return len >= strlen(end) && strcasecmp(url + len - strlen(end), end) == 0;
}
