/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over the lists of forwarded addresses once, from the first item to the last.
 * session/client.c calls it.
 */
#include "lib/forwarded.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/host.h"
#include "lib/http_list.h"

enum { PORT_MAX = 65535 };

/* What an item of a list names. */
enum node_kind { NODE_ADDRESS, NODE_UNKNOWN, NODE_UNIX, NODE_INVALID };

struct node {
	enum node_kind kind;
	struct forwarded at; /* with NODE_ADDRESS */
};

/* The state of a walk. */
struct walk {
	forwarded_trust *is_trusted;
	const void *context;
	size_t items;
	bool has_untrusted;
	struct node first, untrusted; /* the first item, and the last one that is no trusted proxy */
	const char *why;              /* what is wrong with the syntax, else NULL */
};

/* --- items -------------------------------------------------------------------------------- */

/* Parses a port of 1 to 5 digits. */
static bool parse_port(struct slice s, int *ret_port)
{
	unsigned port;

	if (!slice_number(s, PORT_MAX, &port))
		return false;
	*ret_port = (int)port;
	return true;
}

/* True for "_" and letters, digits, dots, underscores and hyphens (RFC 7239 section 6.3). */
static bool is_obfuscated(struct slice s)
{
	if (s.len < 2 || s.at[0] != '_')
		return false;
	for (size_t i = 1; i < s.len; i++) {
		const char c = s.at[i];

		if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
		    c != '-')
			return false;
	}
	return true;
}

/* Parses the port behind an address, with its colon, or nothing. */
static bool parse_rest(struct slice rest, bool may_be_obfuscated, int *ret_port)
{
	if (rest.len == 0)
		return true;
	if (rest.at[0] != ':')
		return false;
	rest.at++;
	rest.len--;
	return parse_port(rest, ret_port) || (may_be_obfuscated && is_obfuscated(rest));
}

/* Parses "IPv4", "IPv4:port", "[IPv6]" or "[IPv6]:port", also IPv6 without brackets if bare_ipv6.
 * Only in Forwarded can a port be obfuscated. */
static bool parse_address(struct slice s, bool is_forwarded, struct forwarded *ret)
{
	const char *end;
	struct slice host = s, rest = { s.at + s.len, 0 };
	int family = AF_INET;

	*ret = (struct forwarded){ .port = -1 };
	if (s.len > 0 && s.at[0] == '[') {
		end = memchr(s.at, ']', s.len);
		if (!end)
			return false;
		family = AF_INET6;
		host = (struct slice){ s.at + 1, (size_t)(end - s.at) - 1 };
		rest = (struct slice){ end + 1, s.len - host.len - 2 };
	} else {
		end = memchr(s.at, ':', s.len);
		if (end && !is_forwarded && memchr(end + 1, ':', (size_t)(s.at + s.len - end) - 1)) {
			family = AF_INET6; /* more than one colon: there is no port */
		} else if (end) {
			host.len = (size_t)(end - s.at);
			rest = (struct slice){ end, s.len - host.len };
		}
	}
	return host_parse_address(family, host.at, host.len, ret->address) &&
	       parse_rest(rest, is_forwarded, &ret->port);
}

static struct node parse_node(struct slice s, bool is_forwarded)
{
	const char *colon = memchr(s.at, ':', s.len);
	const struct slice name = { s.at, colon ? (size_t)(colon - s.at) : s.len };
	const struct slice rest = { s.at + name.len, s.len - name.len };
	struct node node = { .kind = NODE_INVALID };
	int port;

	if (parse_address(s, is_forwarded, &node.at))
		node.kind = NODE_ADDRESS;
	else if (!is_forwarded && slice_is(s, "unix:"))
		node.kind = NODE_UNIX;
	else if ((slice_is_nocase(name, "unknown") || (is_forwarded && is_obfuscated(name))) &&
		 parse_rest(rest, is_forwarded, &port))
		node.kind = NODE_UNKNOWN;
	return node;
}

/* Takes the next item of the list. Returns false if there are too many. */
static bool take_node(struct walk *w, const struct node *node)
{
	const bool trusted = (node->kind == NODE_ADDRESS && w->is_trusted(node->at.address, w->context)) ||
			     (node->kind == NODE_UNIX && w->is_trusted("unix", w->context));

	if (w->items++ == 0)
		w->first = *node;
	if (!trusted) {
		w->untrusted = *node;
		w->has_untrusted = true;
	}
	if (w->items <= FORWARDED_ITEMS_MAX)
		return true;
	w->why = "it has more than 100 addresses";
	return false;
}

/* --- X-Forwarded-For ---------------------------------------------------------------------- */

static bool walk_addresses(struct walk *w, struct slice list)
{
	struct slice item;

	while (http_list_next(&list, &item)) {
		const struct node node = parse_node(item, false);

		if (item.len > 0 && !take_node(w, &node)) /* empty elements do not count: RFC 9110 section 5.6.1 */
			return false;
	}
	return true;
}

/* --- Forwarded ---------------------------------------------------------------------------- */

static void skip_space(struct slice *s)
{
	while (s->len > 0 && (s->at[0] == ' ' || s->at[0] == '\t')) {
		s->at++;
		s->len--;
	}
}

static bool take_char(struct slice *s, char c)
{
	if (s->len == 0 || s->at[0] != c)
		return false;
	s->at++;
	s->len--;
	return true;
}

static bool take_token(struct slice *s, struct slice *ret_token)
{
	size_t n = 0;

	while (n < s->len && http_is_tchar(s->at[n]))
		n++;
	*ret_token = (struct slice){ s->at, n };
	s->at += n;
	s->len -= n;
	return n > 0;
}

/* Takes the rest of a quoted string behind its first quote (RFC 9110 section 5.6.4), and copies its
 * text, of which it drops what has no room in text[0..FORWARDED_NODE_MAX): no node is so long. */
static bool take_quoted(struct slice *s, char *text, struct slice *ret_text)
{
	size_t n = 0;

	while (s->len > 0 && s->at[0] != '"') {
		if (s->at[0] == '\\') {
			s->at++;
			s->len--;
		}
		if (s->len == 0)
			return false;
		if (n < FORWARDED_NODE_MAX)
			text[n++] = s->at[0];
		s->at++;
		s->len--;
	}
	*ret_text = (struct slice){ text, n };
	return take_char(s, '"');
}

/* Takes an element: pairs "name=value" with semicolons between them, up to a comma or the end. Sets
 * *ret_node from its "for"; without one it is NODE_UNKNOWN. *ret_empty says that there are no
 * pairs. Returns NULL, or what is wrong. */
static const char *take_element(struct slice *s, struct node *ret_node, bool *ret_empty)
{
	char text[FORWARDED_NODE_MAX];
	struct slice name, value;
	bool has_for = false;

	*ret_node = (struct node){ .kind = NODE_UNKNOWN };
	*ret_empty = true;
	do {
		skip_space(s);
		if (!take_token(s, &name))
			continue; /* an empty pair */
		*ret_empty = false;
		if (!take_char(s, '=') || !(take_char(s, '"') ? take_quoted(s, text, &value) : take_token(s, &value)))
			return "it does not have the syntax of RFC 7239";
		if (slice_is_nocase(name, "for")) {
			if (has_for)
				return "an element names two addresses";
			has_for = true;
			*ret_node = parse_node(value, true);
		}
		skip_space(s);
	} while (take_char(s, ';'));
	return s->len == 0 || s->at[0] == ',' ? NULL : "it does not have the syntax of RFC 7239";
}

static bool walk_elements(struct walk *w, struct slice list)
{
	do {
		struct node node;
		bool empty;

		w->why = take_element(&list, &node, &empty);
		if (w->why || (!empty && !take_node(w, &node)))
			return false;
	} while (take_char(&list, ','));
	return true;
}

/* --- all ---------------------------------------------------------------------------------- */

const char *forwarded_field(enum client_source source)
{
	switch (source) {
	case CLIENT_FORWARDED:
		return "Forwarded";
	case CLIENT_X_FORWARDED_FOR:
		return "X-Forwarded-For";
	case CLIENT_X_REAL_IP:
		return "X-Real-IP";
	case CLIENT_CF_CONNECTING_IP:
		return "CF-Connecting-IP";
	case CLIENT_PEER:
	case CLIENT_PROXY_PROTOCOL:
		break;
	}
	return NULL;
}

int forwarded_find(enum client_source source, const struct slice *values, size_t n, forwarded_trust *is_trusted,
		   const void *context, struct forwarded *ret_client, const char **ret_why)
{
	struct walk w = { .is_trusted = is_trusted, .context = context };
	const bool is_list = source == CLIENT_FORWARDED || source == CLIENT_X_FORWARDED_FOR;
	const struct node *found;

	for (size_t i = 0; i < n && !w.why; i++)
		(void)(source == CLIENT_FORWARDED ? walk_elements : walk_addresses)(&w, values[i]);
	if (!w.why && !is_list && (n > 1 || w.items > 1))
		w.why = "it names more than one address";
	found = w.has_untrusted ? &w.untrusted : &w.first;
	if (!w.why && (w.items == 0 || found->kind == NODE_INVALID))
		w.why = w.items == 0 ? "it is empty" : "an address is malformed";
	if (w.why) {
		*ret_why = w.why;
		return ERR_REQUEST_MALFORMED;
	}
	*ret_client = found->kind == NODE_ADDRESS ? found->at : (struct forwarded){ .port = -1 };
	return OK;
}
