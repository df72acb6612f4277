/* SPDX-License-Identifier: Apache-2.0
 *
 * Guesses from the characters of an invalid payload which mistake its maker made, for the log. It
 * needs no key. Pure.
 */
#ifndef PROXXY_FORM_H
#define PROXXY_FORM_H

#include <stddef.h>

/* Checks the form of a payload that is no JWE (jwe_looks_like()). Returns NULL if text[0..len) is
 * <iv hex>:<ciphertext hex>, the original's format. Otherwise returns a static phrase that names
 * the mistake, such as encoded twice, in base64, cut off, or not encrypted. */
const char *form_error_cbc(const char *text, size_t len);

/* The same for a JWE. Returns NULL if text[0..len) consists of base64url characters and dots. */
const char *form_error_jwe(const char *text, size_t len);

#endif
