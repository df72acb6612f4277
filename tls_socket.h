/* SPDX-License-Identifier: Apache-2.0
 *
 * The BIO between OpenSSL and a non-blocking TCP socket. It reads many records with one system call, and takes
 * each record whole for writing: what the kernel has no room for waits here, and OpenSSL never has a write
 * half done. OpenSSL answers a peer's KeyUpdate inside SSL_read(), and ends the connection when a write was
 * half done then (its issues 8677 and 13729).
 */
#ifndef PROXXY_TLS_SOCKET_H
#define PROXXY_TLS_SOCKET_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	TLS_SOCKET_AT_ONCE = 64 * 1024, /* bytes of TLS records that are asked of the kernel at once, */
	TLS_SOCKET_BUDGET = 256 * 1024, /* and that one call takes */
	/* Bytes that wait for the kernel's room: the largest record (16 KiB and 261 bytes), and behind it answers
	 * to a few hundred KeyUpdates; after those OpenSSL reads nothing more until there is room. */
	TLS_SOCKET_BACKLOG = 24 * 1024,
};

/* Has tls, which is new, read and write fd, and own what that takes.
 * Returns false without memory: then tls is as it was. */
bool tls_socket_attach(SSL *tls, int fd);

/* A call into OpenSSL begins: it may read TLS_SOCKET_BUDGET bytes. Records without data (session tickets, key
 * updates) would else keep OpenSSL from ever returning. */
void tls_socket_enter(SSL *tls);

/* True when bytes were read from the kernel that OpenSSL has not asked for yet. */
bool tls_socket_has_input(SSL *tls);

/* True when another read would find nothing: in OpenSSL, in our buffer, or in the kernel. */
bool tls_socket_is_drained(SSL *tls);

/* The errno of the last time that the kernel was asked for bytes; 0 when there were some, or the peer's end. */
int tls_socket_error(SSL *tls);

/* How many bytes wait for the kernel's room. */
size_t tls_socket_backlog(SSL *tls);

/* Gives the kernel what waits. Returns false when the connection is broken. */
bool tls_socket_flush(SSL *tls);

/* Gives the pages of the buffers that nothing is in back to the kernel. */
void tls_socket_rest(SSL *tls);

#endif
