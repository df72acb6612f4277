/* SPDX-License-Identifier: Apache-2.0
 *
 * Follows what a fuzzed session reads of the client's PROXY header.
 */
#ifndef PROXXY_TESTS_FUZZ_HEADER_MODEL_H
#define PROXXY_TESTS_FUZZ_HEADER_MODEL_H

#include "lib/proxy_protocol.h"
#include "session/client.h"
#include "tests/fuzz/session/world.h"

struct header_model {
	size_t n;      /* bytes of it that were read */
	bool complete; /* all of it */
};

/* Takes a byte that the session read from the client; n_behind more were read together with it.
 * Returns false if it does not belong to a header: none is due, or it was read. Nothing behind a
 * header may be read together with it. */
static inline bool header_model_byte(struct header_model *m, const struct config *settings, const struct client *from,
				     size_t n_behind)
{
	struct proxy_protocol header;
	const char *why;
	size_t more;

	if (m->complete || settings->client_source != CLIENT_PROXY_PROTOCOL || !from->peer_is_trusted)
		return false;
	m->n++;
	m->complete = proxy_protocol_parse((const char *)world.client.bytes, m->n, &header, &more, &why) > 0;
	REQUIRE(!m->complete || n_behind == 0, "%zu bytes behind the header", n_behind);
	return true;
}

#endif
