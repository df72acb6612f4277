/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds a request to http_read_request() in pieces, for the tests of http.h.
 */
#ifndef PROXXY_TESTS_PIECES_H
#define PROXXY_TESTS_PIECES_H

#include "tests/unit/guard.h"

#include "lib/http.h"

/* Reads text in pieces of that size. Each time, the kept part and the piece end at an unreadable
 * page. Returns as http_read_request(). *ret_rest is the number of bytes after the head. */
static inline int in_pieces(const char *text, size_t len, size_t piece, struct http_request *ret, size_t *ret_rest)
{
	static char kept[HTTP_HEAD_MAX + 4096];
	static struct guard in;
	struct http_reader reader = { 0 };
	size_t n_kept = 0, n;

	for (size_t at = 0; at < len; at += n) {
		char *buf;
		int rc;

		n = len - at < piece ? len - at : piece;
		if (n > sizeof(kept) - n_kept)
			n = sizeof(kept) - n_kept;
		CHECK(n > 0, "%zu bytes are kept of %zu", n_kept, at);
		buf = guard_room(&in, n_kept + n);
		memcpy(buf, kept, n_kept);
		memcpy(buf + n_kept, text + at, n);
		n_kept += n;
		rc = http_read_request(&reader, buf, &n_kept, ret);
		if (rc != 0) {
			*ret_rest = rc > 0 ? n_kept - (size_t)rc + (len - at - n) : 0;
			return rc;
		}
		memcpy(kept, buf, n_kept);
	}
	return 0;
}

static const size_t pieces[] = { 1, 2, 3, 5, 7, 16, 61, 255, 256, 257, 1000, 4096, 20480 };

static inline bool same_slice(struct slice a, struct slice b)
{
	return !a.at == !b.at && a.len == b.len && (!a.at || memcmp(a.at, b.at, a.len) == 0);
}

/* Checks that the result is that of http_parse_request() on the whole head, whatever the size of
 * the pieces, and that frames after the head stay in the buffer. */
static inline void check_pieces(const char *name, const char *text, size_t len, const struct http_request *whole,
				int want)
{
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct http_request r = { 0 };
		size_t rest;
		int rc = in_pieces(text, len, pieces[i], &r, &rest);

		if (want <= 0) {
			CHECK_INT(rc, want, "%s, pieces of %zu", name, pieces[i]);
			continue;
		}
		CHECK(rc > 0 && rc <= want, "%s, pieces of %zu: %d", name, pieces[i], rc);
		CHECK_INT(rest, len - (size_t)want, "%s, pieces of %zu: behind the head", name, pieces[i]);
		CHECK(same_slice(r.method, whole->method) && same_slice(r.target, whole->target) &&
			      same_slice(r.host, whole->host) && same_slice(r.origin, whole->origin) &&
			      same_slice(r.ws_key, whole->ws_key) && same_slice(r.ws_version, whole->ws_version) &&
			      same_slice(r.ws_protocol, whole->ws_protocol) &&
			      same_slice(r.ws_payload, whole->ws_payload) && same_slice(r.payload, whole->payload) &&
			      r.n_ws_payloads == whole->n_ws_payloads && r.minor == whole->minor &&
			      r.upgrade == whole->upgrade && r.has_body == whole->has_body,
		      "%s, pieces of %zu", name, pieces[i]);
	}
}

#endif
