/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects to one address, with a deadline.
 */
#ifndef PROXXY_CONNECT_H
#define PROXXY_CONNECT_H

#include <netdb.h>
#include <stdint.h>

#include "lib/io.h"

/* Connects to a. Ends early if watched (NULL: nobody) leaves. deadline is an io_now().
 * Returns 0 with *ret_errno: 0, then *ret_fd is connected; ETIMEDOUT at the deadline; or that of
 * socket(2) or connect(2). Otherwise returns as io_wait(). */
int connect_address(const struct addrinfo *a, const struct endpoint *watched, int64_t deadline, int *ret_fd,
		    int *ret_errno);

#endif
