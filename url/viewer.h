/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a console in a native VNC viewer instead of a browser, for "proxxy-url --vnc": starts the
 * viewer on a UNIX socket that only this user can reach, and relays between that socket and
 * proxxy's WebSocket.
 */
#ifndef PROXXY_VIEWER_H
#define PROXXY_VIEWER_H

#include <stddef.h>

enum { VIEWER_START_TIMEOUT_S = 30 }; /* for the viewer to connect to the socket */

/* Opens url with client_open(), with the payload. Runs the viewer argv[0], with the socket's path
 * as its last argument, and with password, unless it is NULL, in its environment as VNC_PASSWORD,
 * which TigerVNC reads. Relays until either side ends. The caller must ignore SIGPIPE. argv
 * must have room for the path and one more NULL.
 * Returns 0 if the viewer closed the connection, or if proxxy sent a normal Close after at least
 * a byte of data. Otherwise writes a sentence to why[0..size), and returns ERR_SYSTEM or an
 * ERR_UPSTREAM code, of which ERR_UPSTREAM_REFUSED means an HTTP error or a Close from proxxy. */
int viewer_run(const char *url, const char *payload, const char *password, char **argv, char *why, size_t size);

#endif
