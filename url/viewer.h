/* SPDX-License-Identifier: Apache-2.0
 *
 * A native VNC viewer in the browser's place: proxxy's WebSocket on one side, a UNIX socket that only this user can
 * reach on the other, and the viewer started on it.
 */
#ifndef PROXXY_VIEWER_H
#define PROXXY_VIEWER_H

#include <stddef.h>

enum {
	VIEWER_START_TIMEOUT_S = 30,   /* for the viewer to come to the socket */
	VIEWER_WHY_MAX = 512,
};

/* SIGPIPE must be ignored. Opens url as client_open() does. Runs argv with the socket's path in
 * place of argv's first NULL, and with password in its environment as VNC_PASSWORD (TigerVNC's).
 * Relays until either side ends. argv has room for one more NULL.
 * Returns 0 if the viewer ended in order, or the console did after at least a byte. Else puts a
 * sentence into why[0..size) and returns ERR_UPSTREAM_CONNECT, _TIMEOUT, _REFUSED (proxxy's answer
 * or Close), _ANSWER, _BROKE, _PROTOCOL, or ERR_SYSTEM. */
int viewer_run(const char *url, const char *password, char **argv, char *why, size_t size);

#endif
