/* SPDX-License-Identifier: Apache-2.0
 *
 * Guesses from the characters of an invalid payload which mistake its maker made.
 */
#include "lib/form.h"

#include <stdbool.h>
#include <string.h>

#include "crypto.h"
#include "lib/hex.h"

enum { IV_DIGITS = 2 * CRYPTO_IV_LEN, BLOCK_DIGITS = 2 * CRYPTO_IV_LEN };

#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define HEX "0123456789abcdefABCDEF"

static bool consists_of(const char *text, size_t len, const char *characters)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || !strchr(characters, text[i]))
			return false;
	return true;
}

static size_t count(const char *text, size_t len, char character)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == character;
	return n;
}

/* Returns true if text, which consists of hex digits, decodes to hex digits and colons only. */
static bool is_hex_of_hex(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		const char c = (char)(hex_digit(text[i]) << 4 | hex_digit(text[i + 1]));

		if (c != ':' && hex_digit(c) < 0)
			return false;
	}
	return len > 0 && len % 2 == 0;
}

/* Checks a text of hex digits and colons. Returns NULL or the mistake. */
static const char *hex_error(const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	const size_t iv = colon ? (size_t)(colon - text) : 0, cipher = colon ? len - iv - 1 : 0;

	if (!colon)
		return is_hex_of_hex(text, len) ? "it is hex-encoded twice" :
						  "it has no colon between IV and ciphertext";
	if (count(text, len, ':') > 1)
		return "it has more than one colon";
	if (iv == 2 * IV_DIGITS && is_hex_of_hex(text, iv) && is_hex_of_hex(colon + 1, cipher))
		return "it is hex-encoded twice";
	if (iv != IV_DIGITS)
		return "its IV is not 32 hex digits";
	return cipher == 0 || cipher % BLOCK_DIGITS != 0 ?
		       "its ciphertext is not a multiple of 32 hex digits: it was cut off" :
		       NULL;
}

const char *form_error_cbc(const char *text, size_t len)
{
	const size_t dots = count(text, len, '.');

	if (len > 0 && *text == '{')
		return "it is plain JSON, not encrypted";
	if (len > 0 && (*text == '"' || *text == '\''))
		return "it is in quotes";
	if (memmem(text, len, "://", 3))
		return "it is a URL, not only the payload";
	if (memchr(text, '%', len))
		return "it is URL-encoded twice";
	if (consists_of(text, len, HEX ":"))
		return hex_error(text, len);
	if (dots == 2 && consists_of(text, len, BASE64URL "."))
		return "it has three parts: it is a signed JWT, not an encrypted one (JWE)";
	if (dots > 0)
		return "it has dots, but not the five parts of a JWE: it was cut off, or is something else";
	if (consists_of(text, len, BASE64URL "+/=: ")) /* a '+' in a URL is decoded to a space */
		return "it is in base64, not hex";
	return "it is neither <iv hex>:<ciphertext hex> nor a JWE";
}

const char *form_error_jwe(const char *text, size_t len)
{
	if (consists_of(text, len, BASE64URL "."))
		return NULL;
	if (memchr(text, '%', len))
		return "it is URL-encoded twice";
	if (consists_of(text, len, BASE64URL ".+/= "))
		return "it is in base64, not base64url without padding";
	return "it has characters that are not in base64url";
}
