/* SPDX-License-Identifier: Apache-2.0
 *
 * Resolves a host's name to addresses, with a deadline.
 */
#ifndef PROXXY_RESOLVE_H
#define PROXXY_RESOLVE_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/io.h"
#include "lib/payload.h"

/* Resolves c->host to addresses with port, in the order of RFC 6724. If
 * the host is an address, asks nobody. Ends early if client leaves. If it ends early or at the
 * deadline, an io_now(), the lookup continues in a thread of its own until the process ends.
 * Returns 0 with *ret_addresses for freeaddrinfo(); ERR_UPSTREAM_RESOLVE with a static text in
 * *ret_why; ERR_SYSTEM without a thread or descriptor; or as io_wait(). */
int resolve(const struct console *c, uint16_t port, const struct endpoint *client, int64_t deadline,
	    struct addrinfo **ret_addresses, const char **ret_why);

/* True if a lookup did not end in time: its thread may still run. */
bool resolve_is_running(void);

#endif
