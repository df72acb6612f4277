/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose TLS certificate may be Proxmox's: by the payload's own fingerprint or CA, else by the settings' fingerprints and
 * CAs, else by the system's.
 */
#ifndef PROXXY_TLS_VERIFY_H
#define PROXXY_TLS_VERIFY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/config.h"
#include "lib/payload.h"

enum { TRUST_WORDS_MAX = 100 }; /* bytes of what trust_failure() says, with its NUL */

struct trust {
	const struct config *config;
	const struct claims *claims; /* its fingerprint or CA, when it has one, is the only one that counts */
};

/* Makes the context for one connection; trust must outlive it.
 * Returns 0, or ERR_CONFIG / ERR_PAYLOAD_INVALID / ERR_SYSTEM with words for the log in why[0..size). *ret is for
 * SSL_CTX_free() in either case. */
int trust_context(const struct trust *trust, SSL_CTX **ret, char *why, size_t size);

/* True when the handshake opens files: of the system's CAs each is looked up when it is needed. */
bool trust_needs_files(const struct trust *trust);

/* Says which server tls means: a name goes into SNI, an address may not (RFC 6066 section 3). False on an error. */
bool trust_expect(SSL *tls, const struct console *console);

/* Says why the handshake failed: returns ERR_UPSTREAM_UNTRUSTED or ERR_UPSTREAM_TLS, and puts words
 * for log and client into ret_words[0..size). *ret_hint is a static phrase that the log adds to
 * help fix it, or "". Empties OpenSSL's error queue. */
int trust_failure(SSL *tls, char *ret_words, size_t size, const char **ret_hint);

/* Says why TLS broke after the handshake; error is an endpoint's tls_error. Names the server's
 * alert, or says what else it sent. In TLS 1.3 a server can refuse the client's part of the
 * handshake only at this time (RFC 8446 section 4.4.2.4). Returns false if TLS is not the
 * reason. */
bool trust_broken(unsigned long error, char *ret_words, size_t size);

#endif
