/* SPDX-License-Identifier: Apache-2.0
 *
 * The BIO between OpenSSL and a non-blocking TCP socket. It reads many records with one system
 * call. It accepts only whole records to write, and buffers what the kernel has no room for, so
 * OpenSSL never has a partial write. This matters because OpenSSL answers a peer's KeyUpdate inside
 * SSL_read(), and ends the connection if a write is incomplete at that time (OpenSSL issues 8677
 * and 13729).
 */
#ifndef PROXXY_TLS_SOCKET_H
#define PROXXY_TLS_SOCKET_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	TLS_SOCKET_AT_ONCE = 64 * 1024, /* bytes of TLS records read with one system call */
	TLS_SOCKET_BUDGET = 256 * 1024, /* bytes read in one call into OpenSSL */
	/* Bytes buffered until the kernel has room: the largest record (16 KiB and 261 bytes), and
	 * answers to a few hundred KeyUpdates. When it is full, OpenSSL stops reading. */
	TLS_SOCKET_BACKLOG = 24 * 1024,
};

/* Makes tls, which is new, read and write fd. SSL_free() frees the buffers; the caller closes fd.
 * Returns false without memory: then tls is unchanged. */
bool tls_socket_attach(SSL *tls, int fd);

/* Call this before each call into OpenSSL: it allows that call to read TLS_SOCKET_BUDGET bytes.
 * Before the first time, nothing is read, whatever the peer has sent.
 * Without a limit, a peer's records without data (session tickets, key updates) could keep OpenSSL
 * busy for ever. */
void tls_socket_enter(SSL *tls);

/* Limits how many bytes are read with one system call, from 5 to TLS_SOCKET_AT_ONCE, which is the
 * default: fewer need less memory. */
void tls_socket_limit(SSL *tls, size_t at_once);

/* True if the buffer holds bytes that OpenSSL has not read yet. */
bool tls_socket_has_input(SSL *tls);

/* True if nothing is left to read: not in OpenSSL, not in the buffer, and not in the kernel. */
bool tls_socket_is_drained(SSL *tls);

/* Returns the errno of the last read from the kernel; 0 if it returned bytes or the peer's FIN. */
int tls_socket_error(SSL *tls);

/* Returns how many bytes of records wait until the kernel has room. */
size_t tls_socket_backlog(SSL *tls);

/* Writes the waiting bytes, as many as the kernel accepts. Returns false if the connection is
 * broken. */
bool tls_socket_flush(SSL *tls);

/* Returns unused pages of the buffers to the kernel. */
void tls_socket_release(SSL *tls);

#endif
