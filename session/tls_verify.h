/* SPDX-License-Identifier: Apache-2.0
 *
 * Decides which TLS certificate is accepted as Proxmox's. The first of these that exists counts
 * alone: the payload's fingerprint or CA, if the payload also has the ticket; the CA_FILE and
 * FINGERPRINTS of the cluster file; the fingerprints and CAs of the settings, else the system's
 * CAs. PROXXY_TLS_VERIFY=off has an effect only on the last.
 */
#ifndef PROXXY_TLS_VERIFY_H
#define PROXXY_TLS_VERIFY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/access.h"
#include "lib/config.h"
#include "lib/payload.h"

enum { TLS_VERIFY_WORDS_MAX = 100 }; /* bytes of an explanation, with its NUL */

/* What is accepted. The caller owns both; they must stay valid until the handshake is done. */
struct tls_verify {
	const struct config *config;
	const struct access *access; /* the payload's claims, and its cluster file */
};

/* Makes the context for one connection: TLS 1.2 or 1.3, verified as v says. v must stay valid until
 * the handshake is done. Returns 0, or ERR_CONFIG, ERR_PAYLOAD_INVALID or ERR_SYSTEM with words for
 * the log in why[0..size). The caller frees *ret with SSL_CTX_free() in either case. */
int tls_verify_context(const struct tls_verify *v, SSL_CTX **ret, char *why, size_t size);

/* True if the handshake opens files: the system's CAs are looked up one by one. */
bool tls_verify_needs_files(const struct tls_verify *v);

/* Sets the host that the certificate must name. Sends SNI if it is a name (RFC 6066 section 3
 * allows no address). Returns false without memory. */
bool tls_verify_set_host(SSL *tls, const struct console *console);

/* Explains a failed handshake: returns ERR_UPSTREAM_UNTRUSTED if the certificate was the reason,
 * else ERR_UPSTREAM_TLS, and writes words for log and client to ret_words[0..size). *ret_hint is a
 * static phrase that the log adds to help fix it, or "". Empties OpenSSL's error queue. */
int tls_verify_explain_handshake(const struct tls_verify *v, SSL *tls, char *ret_words, size_t size,
				 const char **ret_hint);

/* Explains why TLS broke after the handshake; error is an endpoint's tls_error. Writes the server's
 * alert, or what is wrong with its data, to ret_words[0..size). A TLS 1.3 server rejects the
 * client's part of the handshake only at this time (RFC 8446 section 4.4.2.4). Returns false if TLS
 * was not the reason: then ret_words is unchanged. */
bool tls_verify_explain_break(unsigned long error, char *ret_words, size_t size);

#endif
