/* SPDX-License-Identifier: Apache-2.0
 *
 * From a host's name to its addresses, with a deadline.
 */
#ifndef PROXXY_RESOLVE_H
#define PROXXY_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "lib/io.h"
#include "lib/payload.h"

/* Asks the system for c->host's addresses, in the order of RFC 6724, while watching that the client does not leave;
 * once in a process. An address is its own answer. A lookup that is not awaited any longer goes on in a thread of
 * its own, which the end of the process ends.
 * Returns 0 and *ret_addresses for freeaddrinfo(), ERR_UPSTREAM_RESOLVE and why in *ret_why, which is static, ERR_SYSTEM
 * without a thread or descriptor for it, or as io_wait(). */
int resolve(const struct console *c, uint16_t port, const struct endpoint *client, int64_t deadline,
	    struct addrinfo **ret_addresses, const char **ret_why);

#endif
