/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends TCP connections so that the peers get the last data. close(2) alone would reset a connection
 * that has unread input, and the kernel would then discard data that it has not sent yet.
 */
#ifndef PROXXY_LINGER_H
#define PROXXY_LINGER_H

#include <stdint.h>

#include "lib/io.h"

enum {
	LINGER_MS = 3000,             /* for a peer that acknowledges no more data to close the connection */
	LINGER_ORPHAN_MS = 10 * 1000, /* for the kernel to send queued data after the process ended */
};

/* Ends one or two connections (NULL: none). Sends close_notify and FIN after the written data, then
 * reads and discards input until the peer closes. A peer that acknowledges no more data has
 * LINGER_MS to close. A peer that still acknowledges data has until deadline, an io_now(). After
 * SIGTERM the limit is LINGER_MS for both. Does not close the descriptors. A second call does
 * nothing. */
void linger(struct endpoint *a, struct endpoint *b, int64_t deadline);

#endif
