/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements reference_rfb.h.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* as session/rfb.c */

#include "tests/fuzz/session/reference_rfb.h"

#include <openssl/des.h>

void reference_sent(struct reference_rfb *o, enum rfb_peer to, const void *bytes, size_t size)
{
	REQUIRE(o->n_sent[to] + size <= REFERENCE_SENT_MAX, "%zu bytes", o->n_sent[to] + size);
	memcpy(o->sent[to] + o->n_sent[to], bytes, size);
	o->n_sent[to] += size;
}

/* Returns the next size bytes, or NULL if the stream ends before. */
static const uint8_t *next(struct input *in, struct reference_rfb *o, size_t size)
{
	size_t got;
	const uint8_t *bytes = take_bytes(in, size, &got);

	o->used += got;
	return got == size ? bytes : NULL;
}

static int number(const uint8_t *bytes, size_t size)
{
	unsigned value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value > 1000 ? 1000 : (int)value;
}

/* Returns major * 1000 + minor, or -1. */
static int version(const uint8_t *v)
{
	char text[13] = { 0 };
	int major, minor;

	memcpy(text, v, 12);
	if (strspn(text + 4, "0123456789") != 3 || strspn(text + 8, "0123456789") != 3 ||
	    sscanf(text, "RFB %3d.%3d", &major, &minor) != 2 || text[3] != ' ' || text[7] != '.' || text[11] != '\n')
		return -1;
	return major * 1000 + minor;
}

static int refuse(struct input *in, struct reference_rfb *o)
{
	const uint8_t *size = next(in, o, 4), *words = in->at;
	size_t n, left;

	o->refused = true;
	if (!size)
		return RFB_MORE;
	n = (size_t)number(size, 4);
	n = n > RFB_REASON_MAX ? RFB_REASON_MAX : n;
	left = n < in->left ? n : in->left;
	for (size_t i = 0; i < left; i++)
		o->reason[i] = words[i] < 0x20 || words[i] > 0x7E ? '?' : (char)words[i];
	return next(in, o, n) ? RFB_REFUSED : RFB_MORE;
}

/* Zeros stand for the response, which reference_check_response() checks. */
int reference_console(struct input *in, struct reference_rfb *o, bool *ret_waits)
{
	const uint8_t *m = next(in, o, 12);
	int v, type;

	*ret_waits = false;
	if (!m)
		return RFB_MORE;
	v = version(m);
	if (v / 1000 != 3)
		return RFB_SERVER_INVALID;
	v = v == 3007 ? 7 : v == 3008 ? 8 : 3;
	reference_sent(o, RFB_SERVER, v == 7 ? "RFB 003.007\n" : v == 8 ? "RFB 003.008\n" : "RFB 003.003\n", 12);
	if (!(m = next(in, o, v == 3 ? 4 : 1)))
		return RFB_MORE;
	type = number(m, v == 3 ? 4 : 1);
	if (type == 0)
		return refuse(in, o);
	if (v != 3) {
		const size_t n = (size_t)type;

		if (!(m = next(in, o, n)))
			return RFB_MORE;
		type = memchr(m, 2, n) ? 2 : memchr(m, 1, n) ? 1 : 0;
		*ret_waits = v == 7 && type == 1;
		if (type != 0 && !*ret_waits)
			reference_sent(o, RFB_SERVER, type == 2 ? "\x02" : "\x01", 1);
	}
	if (type != 1 && type != 2)
		return RFB_NO_AUTH;
	if (type == 2) {
		if (!(o->challenge = next(in, o, 16)))
			return RFB_MORE;
		o->response = o->n_sent[RFB_SERVER];
		reference_sent(o, RFB_SERVER, (const uint8_t[16]){ 0 }, 16);
	}
	if (type == 1 && v != 8)
		return RFB_DONE; /* without a SecurityResult */
	if (!(m = next(in, o, 4)))
		return RFB_MORE;
	switch (number(m, 4)) {
	case 0:
		return RFB_DONE;
	case 1:
		if (v == 8)
			return refuse(in, o);
		__attribute__((fallthrough));
	case 2:
		o->refused = true;
		return RFB_REFUSED;
	default:
		return RFB_SERVER_INVALID;
	}
}

int reference_client(struct input *in, struct reference_rfb *o, bool waits)
{
	const uint8_t *m;
	int v;

	reference_sent(o, RFB_CLIENT, "RFB 003.008\n", 12);
	if (in->left > 0 && waits)
		reference_sent(o, RFB_SERVER, "\x01", 1);
	if (!(m = next(in, o, 12)))
		return RFB_MORE;
	v = version(m);
	if (v < 3000)
		return RFB_CLIENT_INVALID;
	if (v < 3007) {
		reference_sent(o, RFB_CLIENT, "\0\0\0\1", 4);
		return RFB_DONE;
	}
	reference_sent(o, RFB_CLIENT, "\1\1", 2);
	if (!(m = next(in, o, 1)))
		return RFB_MORE;
	if (*m != 1)
		return RFB_CLIENT_INVALID;
	if (v == 3889)
		reference_sent(o, RFB_SERVER, "\1", 1);
	else if (v != 3007)
		reference_sent(o, RFB_CLIENT, "\0\0\0\0", 4);
	return RFB_DONE;
}

/* Decrypting the response gives the challenge. */
void reference_check_response(const char *password, const uint8_t challenge[16], const uint8_t response[16])
{
	DES_cblock key = { 0 }, block;
	DES_key_schedule schedule;

	for (size_t i = 0; i < 8 && password[i]; i++)
		for (unsigned bit = 0; bit < 8; bit++)
			if ((uint8_t)password[i] & 1U << bit)
				key[i] |= (uint8_t)(0x80U >> bit);
	DES_set_key_unchecked(&key, &schedule);
	for (size_t at = 0; at < 16; at += 8) {
		DES_ecb_encrypt((const_DES_cblock *)(response + at), &block, &schedule, DES_DECRYPT);
		REQUIRE(memcmp(block, challenge + at, 8) == 0, "block %zu", at / 8);
	}
}
