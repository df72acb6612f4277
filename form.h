/* SPDX-License-Identifier: Apache-2.0
 *
 * What the form of a payload's text tells of how it was made, for the log: by its characters alone, without a key. Pure.
 */
#ifndef PROXXY_FORM_H
#define PROXXY_FORM_H

#include <stddef.h>

/* Returns NULL when text[0..len) has the form of the original's payloads, <iv hex>:<ciphertext hex>; else a static phrase with
 * what is wrong with it: encoded twice, in base64, cut off, or not sealed at all. text is no JWE (jwe_looks_like()). */
const char *form_wrong(const char *text, size_t len);

/* The same for a JWE's: NULL when it is base64url and dots. */
const char *form_wrong_jwe(const char *text, size_t len);

#endif
