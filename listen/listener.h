/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket that listens: on a TCP port or on a UNIX socket.
 */
#ifndef PROXXY_LISTEN_LISTENER_H
#define PROXXY_LISTEN_LISTENER_H

#include <stddef.h>
#include <sys/types.h>

#include "listen/address.h"

struct listener {
	int fd; /* -1 once it is closed */
	struct address address;
	dev_t dev; /* of a UNIX socket's file: which file is ours to remove */
	ino_t ino;
};

/* Opens a socket that listens on address, which was written as name. It is non-blocking and
 * close-on-exec. mode is that of a UNIX socket's file; a file that an earlier process left and on
 * which nobody listens is replaced.
 * Returns EX_OK and *ret, or a status of sysexits.h and a sentence in why[0..size). */
int listener_open(struct listener *ret, const struct address *address, const char *name, mode_t mode, char *why,
		  size_t size);

/* Accepts one connection, close-on-exec and blocking. Returns its descriptor, or -1 and errno. */
int listener_accept(const struct listener *listener);

/* Removes the file of a UNIX socket, if it is still ours. New clients then see at once that nobody
 * listens. Does nothing for other sockets. */
void listener_hide(const struct listener *listener);

/* Closes the socket and removes its file. Does nothing if it is closed. */
void listener_close(struct listener *listener);

#endif
