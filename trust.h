/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose TLS certificate may be Proxmox's: by the payload's own fingerprint or CA, else by the settings' fingerprints and
 * CAs, else by the system's.
 */
#ifndef PROXXY_TRUST_H
#define PROXXY_TRUST_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "payload.h"

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

/* Why the handshake failed: ERR_UPSTREAM_UNTRUSTED or ERR_UPSTREAM_TLS, with words for everyone in ret_words[0..size). *ret_hint
 * is what the log says behind them, static, which leads to the mend; "" when there is none. Empties OpenSSL's error queue. */
int trust_failure(SSL *tls, char *ret_words, size_t size, const char **ret_hint);

/* Why TLS broke later, by an endpoint's tls_error: the server's alert by its name, or what else it sent. With TLS 1.3 a server
 * refuses what the client sent of a handshake only then (RFC 8446 section 4.4.2.4). False when TLS has nothing to do with it. */
bool trust_broken(unsigned long error, char *ret_words, size_t size);

#endif
