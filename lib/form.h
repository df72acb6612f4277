/* SPDX-License-Identifier: Apache-2.0
 *
 * Guesses from a payload's characters, without a key, which mistake its maker made; for the log. Pure.
 */
#ifndef PROXXY_FORM_H
#define PROXXY_FORM_H

#include <stddef.h>

/* Returns NULL if text[0..len) has the form of the original's payloads, <iv hex>:<ciphertext hex>;
 * else a static phrase that says what is wrong: encoded twice, in base64, cut off, or not sealed at
 * all. text must not be a JWE (jwe_looks_like()). */
const char *form_wrong(const char *text, size_t len);

/* The same for a JWE: returns NULL if it consists of base64url and dots. */
const char *form_wrong_jwe(const char *text, size_t len);

#endif
