/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the beginning of RFB message by message, and writes the answers. The session's login calls
 * it, between the upgrade and the relay.
 */

/* VNC Authentication is defined with DES. OpenSSL deprecates these functions in favour of EVP,
 * which takes DES from the legacy provider. That is a file, and a session opens none;
 * session/algorithms.c offers no more than TLS needs. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "session/rfb.h"

#include <openssl/crypto.h>
#include <openssl/des.h>
#include <string.h>

#include "lib/big_endian.h"

/* The message that is expected. */
enum step {
	ENDED, /* none: done, or an error */
	SERVER_VERSION,
	SERVER_TYPE,    /* 3.3: the security type that it chose */
	SERVER_N_TYPES, /* 3.7, 3.8: the length of its list */
	SERVER_TYPES,
	SERVER_CHALLENGE,
	SERVER_RESULT,
	SERVER_REASON_SIZE,
	SERVER_REASON,
	CLIENT_VERSION,
	CLIENT_CHOICE,
};

/* Security types, RFC 6143 section 7.2. */
enum { TYPE_INVALID = 0, TYPE_NONE = 1, TYPE_VNC = 2 };

/* Values of SecurityResult. RFC 6143 section 7.1.3 has the first two; the third is older (TightVNC,
 * libvncclient), and no reason follows it. */
enum { RESULT_OK = 0, RESULT_FAILED = 1, RESULT_TOO_MANY = 2 };

enum {
	VERSION_SIZE = 12,      /* bytes: "RFB 003.008\n" */
	CHALLENGE_SIZE = 16,    /* bytes, and those of its response */
	DES_BLOCK = 8,          /* bytes */
	DES_STACK = 4096,       /* bytes of stack to wipe after DES, which uses less than 1 KiB */
	MACOS = 889,            /* the minor version of the client of macOS */
	CLIENT_INIT_SHARED = 1, /* ClientInit: other clients of the console stay connected */
};

/* What one call of rfb_feed() has to send. */
struct output {
	uint8_t *bytes;
	size_t size;
	enum rfb_peer to;
};

static void send_bytes(struct output *o, enum rfb_peer to, const void *bytes, size_t size)
{
	memcpy(o->bytes, bytes, size);
	o->size = size;
	o->to = to;
}

static void send_byte(struct output *o, enum rfb_peer to, uint8_t byte)
{
	send_bytes(o, to, &byte, 1);
}

static void send_u32(struct output *o, enum rfb_peer to, uint8_t value)
{
	send_bytes(o, to, (const uint8_t[4]){ 0, 0, 0, value }, 4);
}

static int expect(struct rfb *r, enum step step, size_t size)
{
	OPENSSL_cleanse(r->message, sizeof(r->message));
	r->step = (uint8_t)step;
	r->size = size;
	r->filled = 0;
	return RFB_MORE;
}

static int end(struct rfb *r, int result)
{
	rfb_wipe(r);
	return result;
}

static int fail(struct rfb *r, int result, const char *why, const char **ret_why)
{
	*ret_why = why;
	return end(r, result);
}

/* Reads three digits. Returns -1 if they are none. */
static int read_number(const uint8_t digits[3])
{
	int value = 0;

	for (size_t i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return -1;
		value = value * 10 + digits[i] - '0';
	}
	return value;
}

static bool read_version(const uint8_t message[VERSION_SIZE], int *ret_major, int *ret_minor)
{
	const int major = read_number(message + 4), minor = read_number(message + 8);

	if (memcmp(message, "RFB ", 4) != 0 || message[7] != '.' || message[11] != '\n' || major < 0 || minor < 0)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

/* The console is satisfied. The client's phase begins. */
static int greet_client(struct rfb *r, struct output *o)
{
	OPENSSL_cleanse(r->password, sizeof(r->password));
	send_bytes(o, RFB_CLIENT, "RFB 003.008\n", VERSION_SIZE);
	return expect(r, CLIENT_VERSION, VERSION_SIZE);
}

static int on_server_version(struct rfb *r, struct output *o, const char **ret_why)
{
	char version[] = "RFB 003.00?\n";
	int major, minor;

	if (!read_version(r->message, &major, &minor))
		return fail(r, RFB_SERVER_INVALID, "the console does not begin with a version of RFB", ret_why);
	if (major != 3)
		return fail(r, RFB_SERVER_INVALID, "the console's version of RFB is not 3", ret_why);
	r->minor = minor == 7 || minor == 8 ? (uint8_t)minor : 3;
	version[10] = (char)('0' + r->minor);
	send_bytes(o, RFB_SERVER, version, VERSION_SIZE);
	return r->minor == 3 ? expect(r, SERVER_TYPE, 4) : expect(r, SERVER_N_TYPES, 1);
}

/* The console refuses with a reason, which is read first. */
static int refused(struct rfb *r, const char *why)
{
	OPENSSL_cleanse(r->password, sizeof(r->password));
	r->why = why;
	return expect(r, SERVER_REASON_SIZE, 4);
}

static int on_server_type(struct rfb *r, struct output *o, const char **ret_why)
{
	switch ((uint32_t)big_endian(r->message, 4)) {
	case TYPE_INVALID:
		return refused(r, "the console refused the connection");
	case TYPE_NONE:
		return greet_client(r, o);
	case TYPE_VNC:
		return expect(r, SERVER_CHALLENGE, CHALLENGE_SIZE);
	default:
		return fail(r, RFB_NO_AUTH, "the console chose an unknown security type", ret_why);
	}
}

static int on_server_types(struct rfb *r, struct output *o, const char **ret_why)
{
	if (memchr(r->message, TYPE_VNC, r->size)) {
		send_byte(o, RFB_SERVER, TYPE_VNC);
		return expect(r, SERVER_CHALLENGE, CHALLENGE_SIZE);
	}
	if (!memchr(r->message, TYPE_NONE, r->size))
		return fail(r, RFB_NO_AUTH, "the console offers neither VNC Authentication nor None", ret_why);
	if (r->minor == 8) {
		OPENSSL_cleanse(r->password, sizeof(r->password));
		send_byte(o, RFB_SERVER, TYPE_NONE);
		return expect(r, SERVER_RESULT, 4);
	}
	/* 3.7 has no SecurityResult after None, so that the choice ends the console's phase. Then
	 * both sides would get something now. */
	r->choice_waits = true;
	return greet_client(r, o);
}

/* VNC Authentication takes the bits of each of the password's bytes in reverse order, the least
 * significant first, as the key (RFC 6143 section 7.2.2, erratum 4951). */
static uint8_t reverse_bits(uint8_t byte)
{
	uint8_t reversed = 0;

	for (unsigned bit = 0; bit < 8; bit++)
		reversed = (uint8_t)(reversed << 1 | (byte >> bit & 1));
	return reversed;
}

static __attribute__((noinline)) void encrypt(const uint8_t password[RFB_PASSWORD_MAX],
					      const uint8_t challenge[CHALLENGE_SIZE], uint8_t *response)
{
	DES_cblock key;
	DES_key_schedule schedule;

	_Static_assert(RFB_PASSWORD_MAX == sizeof(key), "the password is the key");
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = reverse_bits(password[i]);
	/* Unchecked: a password may be a weak key, and its bytes have no parity. */
	DES_set_key_unchecked(&key, &schedule);
	for (size_t at = 0; at < CHALLENGE_SIZE; at += DES_BLOCK)
		DES_ecb_encrypt((const_DES_cblock *)(challenge + at), (DES_cblock *)(response + at), &schedule,
				DES_ENCRYPT);
	OPENSSL_cleanse(&key, sizeof(key));
	OPENSSL_cleanse(&schedule, sizeof(schedule));
}

/* Overwrites what encrypt() and its calls left on the stack: OpenSSL leaves round keys there. */
static __attribute__((noinline)) void wipe_after_encrypt(void)
{
	uint8_t room[DES_STACK];

	OPENSSL_cleanse(room, sizeof(room));
}

static int on_server_challenge(struct rfb *r, struct output *o)
{
	encrypt(r->password, r->message, o->bytes);
	wipe_after_encrypt();
	OPENSSL_cleanse(r->password, sizeof(r->password));
	o->size = CHALLENGE_SIZE;
	o->to = RFB_SERVER;
	r->responded = true;
	return expect(r, SERVER_RESULT, 4);
}

static int on_server_result(struct rfb *r, struct output *o, const char **ret_why)
{
	switch ((uint32_t)big_endian(r->message, 4)) {
	case RESULT_OK:
		return greet_client(r, o);
	case RESULT_FAILED:
		refused(r, r->responded ? "the console refused the password" : "the console refused the connection");
		return r->minor == 8 ? RFB_MORE : fail(r, RFB_REFUSED, r->why, ret_why);
	case RESULT_TOO_MANY:
		r->why = "the console refused: too many attempts";
		return fail(r, RFB_REFUSED, r->why, ret_why);
	default:
		return fail(r, RFB_SERVER_INVALID, "the console's SecurityResult is unknown", ret_why);
	}
}

static int on_client_version(struct rfb *r, struct output *o, const char **ret_why)
{
	int major, minor;

	if (!read_version(r->message, &major, &minor))
		return fail(r, RFB_CLIENT_INVALID, "the client does not begin with a version of RFB", ret_why);
	if (major < 3)
		return fail(r, RFB_CLIENT_INVALID, "the client's version of RFB is below 3", ret_why);
	if (major > 3)
		r->minor = 8;
	else if (minor == MACOS)
		r->minor = MACOS;
	else
		r->minor = minor >= 8 ? 8 : minor == 7 ? 7 : 3;
	if (r->minor == 3) {
		send_u32(o, RFB_CLIENT, TYPE_NONE);
		return end(r, RFB_DONE);
	}
	send_bytes(o, RFB_CLIENT, (const uint8_t[2]){ 1, TYPE_NONE }, 2);
	return expect(r, CLIENT_CHOICE, 1);
}

static int on_client_choice(struct rfb *r, struct output *o, const char **ret_why)
{
	if (r->message[0] != TYPE_NONE)
		return fail(r, RFB_CLIENT_INVALID, "the client chose a security type that it was not offered", ret_why);
	if (r->minor == MACOS)
		send_byte(o, RFB_SERVER, CLIENT_INIT_SHARED);
	else if (r->minor == 8)
		send_u32(o, RFB_CLIENT, RESULT_OK);
	return end(r, RFB_DONE);
}

/* The message that was expected is complete. */
static int on_message(struct rfb *r, struct output *o, const char **ret_why)
{
	const uint32_t number = (uint32_t)big_endian(r->message, 4);

	switch ((enum step)r->step) {
	case SERVER_VERSION:
		return on_server_version(r, o, ret_why);
	case SERVER_TYPE:
		return on_server_type(r, o, ret_why);
	case SERVER_N_TYPES:
		return r->message[0] > 0 ? expect(r, SERVER_TYPES, r->message[0]) :
					   refused(r, "the console refused the connection");
	case SERVER_TYPES:
		return on_server_types(r, o, ret_why);
	case SERVER_CHALLENGE:
		return on_server_challenge(r, o);
	case SERVER_RESULT:
		return on_server_result(r, o, ret_why);
	case SERVER_REASON_SIZE:
		if (number > 0)
			return expect(r, SERVER_REASON, number < RFB_REASON_MAX ? number : RFB_REASON_MAX);
		return fail(r, RFB_REFUSED, r->why, ret_why);
	case SERVER_REASON:
		return fail(r, RFB_REFUSED, r->why, ret_why);
	case CLIENT_VERSION:
		return on_client_version(r, o, ret_why);
	case CLIENT_CHOICE:
		return on_client_choice(r, o, ret_why);
	case ENDED:
		break;
	}
	return fail(r, RFB_SERVER_INVALID, "nothing was expected", ret_why);
}

void rfb_init(struct rfb *r, const char *password)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->password, password, strnlen(password, sizeof(r->password)));
	expect(r, SERVER_VERSION, VERSION_SIZE);
}

size_t rfb_wants(const struct rfb *r, enum rfb_peer *ret_from)
{
	if (r->step == ENDED)
		return 0;
	*ret_from = r->step >= CLIENT_VERSION ? RFB_CLIENT : RFB_SERVER;
	return r->choice_waits ? 1 : r->size - r->filled;
}

int rfb_feed(struct rfb *r, const uint8_t *in, size_t len, uint8_t out[RFB_OUT_MAX], size_t *ret_out,
	     enum rfb_peer *ret_to, const char **ret_why)
{
	struct output o = { .bytes = out, .to = RFB_SERVER };
	enum rfb_peer from;
	int rc = RFB_MORE;

	if (len > rfb_wants(r, &from))
		return fail(r, RFB_SERVER_INVALID, "more bytes than were expected", ret_why);
	memcpy(r->message + r->filled, in, len);
	if (r->step == SERVER_REASON)
		for (size_t i = 0; i < len; i++)
			r->reason[r->filled + i] = in[i] >= ' ' && in[i] <= '~' ? (char)in[i] : '?';
	r->filled += len;
	if (r->choice_waits && len > 0) {
		r->choice_waits = false;
		send_byte(&o, RFB_SERVER, TYPE_NONE);
	} else if (len > 0 && r->filled == r->size) {
		rc = on_message(r, &o, ret_why);
	}
	if (rc < 0)
		return rc;
	*ret_out = o.size;
	*ret_to = o.to;
	return rc;
}

bool rfb_is_refused(const struct rfb *r)
{
	return r->why != NULL;
}

const char *rfb_reason(const struct rfb *r)
{
	return r->reason;
}

void rfb_wipe(struct rfb *r)
{
	OPENSSL_cleanse(r->password, sizeof(r->password));
	expect(r, ENDED, 0);
	r->minor = 0;
	r->choice_waits = false;
}
