/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate that a host shows: fetches it, describes it, and answers which CAs verify it, by
 * the rules that a session applies later (session/tls_verify.c).
 */
#ifndef PROXXY_SETUP_CERTIFICATE_H
#define PROXXY_SETUP_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "lib/payload.h"

enum {
	/* Bytes of a subject in text, with its NUL; a longer one is cut off. It stays in one line
	 * of a terminal: in the next one its end could look like the fingerprint. */
	CERTIFICATE_SUBJECT_MAX = 64,
	CERTIFICATE_FINGERPRINT_MAX = 3 * CRYPTO_FINGERPRINT_LEN, /* bytes in text, with its NUL */
};

struct certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* what the server sent, the leaf included; or NULL */
	uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN];
	char subject[CERTIFICATE_SUBJECT_MAX];
};

/* Connects to host (port: that of host, else PROXMOX_PORT) with TLS, within timeout
 * milliseconds, verifies nothing, and ends the connection. Returns 0 and a certificate, which
 * the caller frees with certificate_free(). Otherwise returns an ERR_UPSTREAM code or
 * ERR_SYSTEM, and a sentence in why[0..size). */
int certificate_fetch(const struct console *host, int timeout, struct certificate *ret, char *why, size_t size);

/* Writes a fingerprint as openssl(1) and pvenode(1) print it: upper-case digits with colons.
 * Returns text. */
const char *certificate_fingerprint_text(const uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN],
					 char text[CERTIFICATE_FINGERPRINT_MAX]);

/* Return true if the certificate is valid now, is for host, and chains to the CA in pem, or to
 * one of the system's. */
bool certificate_verified_by(const struct certificate *c, const char *pem, const struct console *host);
bool certificate_verified_by_system(const struct certificate *c, const struct console *host);

/* Returns true if the certificate chains to the CA in pem, whatever its names are. */
bool certificate_signed_by(const struct certificate *c, const char *pem);

/* Returns true if the certificate's time is over. */
bool certificate_expired(const struct certificate *c);

/* Frees what *c holds. */
void certificate_free(struct certificate *c);

#endif
