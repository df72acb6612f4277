/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests how rfb.h uses the password: the responses that VNC Authentication demands, and that
 * neither password nor key stays in memory.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* as session/rfb.c */

#include "tests/unit/guard.h"

#include <fcntl.h>
#include <openssl/des.h>
#include <pthread.h>
#include <unistd.h>

#include "session/rfb.h"

enum { STACK_SIZE = 1024 * 1024 }; /* bytes */

#define PASSWORD "password"
#define CHALLENGE "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"
#define RESPONSE "\xB8\x66\x92\x41\x25\xC8\xEE\xBB\x9D\xEB\xC1\xDB\x61\xC5\x38\xE2"
#define VERSION "RFB 003.008\n"

static struct guard password_guard;

/* Computed with python3-cryptography and with OpenSSL's command line, which agree. */
static const struct {
	const char *password;
	uint8_t challenge[16], response[16];
} vectors[] = {
#define UP { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F }
#define DOWN { 0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00 }
	{ "COW",
	  UP,
	  { 0xDC, 0x72, 0xFE, 0x4D, 0xA1, 0x73, 0xCC, 0x3F, 0x3C, 0x68, 0x4D, 0x66, 0x37, 0xED, 0x8C, 0x28 } },
	{ "password",
	  UP,
	  { 0xB8, 0x66, 0x92, 0x41, 0x25, 0xC8, 0xEE, 0xBB, 0x9D, 0xEB, 0xC1, 0xDB, 0x61, 0xC5, 0x38, 0xE2 } },
	{ "password",
	  DOWN,
	  { 0x08, 0x6C, 0x5F, 0xEA, 0xE2, 0x1B, 0xEB, 0x59, 0x73, 0x8C, 0xFB, 0x96, 0x21, 0x67, 0x89, 0x19 } },
	{ "12345678",
	  { 0 },
	  { 0xD2, 0x9F, 0x6E, 0x7F, 0x04, 0x56, 0xF8, 0xDE, 0xD2, 0x9F, 0x6E, 0x7F, 0x04, 0x56, 0xF8, 0xDE } },
	{ "12345678 and more",
	  { 0 },
	  { 0xD2, 0x9F, 0x6E, 0x7F, 0x04, 0x56, 0xF8, 0xDE, 0xD2, 0x9F, 0x6E, 0x7F, 0x04, 0x56, 0xF8, 0xDE } },
	/* A weak key of DES. */
	{ "", UP, { 0x49, 0x1E, 0x89, 0x0D, 0xE9, 0xAC, 0xE9, 0x32, 0x83, 0x8A, 0x49, 0x79, 0x2F, 0x22, 0x13, 0xF3 } },
	{ "~!@#$%^&",
	  DOWN,
	  { 0x4F, 0xAC, 0x29, 0xB8, 0x24, 0xEE, 0x7F, 0x65, 0x08, 0xB6, 0x66, 0x00, 0xC8, 0x08, 0xBE, 0xA9 } },
	{ "\xFF\xFE\x80\x7F\x01\xC3\xA4Z",
	  DOWN,
	  { 0x49, 0x0A, 0x38, 0x5A, 0xB1, 0x1C, 0xB2, 0x3B, 0xC0, 0x74, 0x2F, 0xEC, 0xE6, 0x98, 0xA7, 0x01 } },
	{ "a",
	  { 0 },
	  { 0x79, 0xC3, 0x30, 0x79, 0x9A, 0xCB, 0x6E, 0x95, 0x79, 0xC3, 0x30, 0x79, 0x9A, 0xCB, 0x6E, 0x95 } },
};

/* Feeds the first n messages of a console of 3.8. Returns how many bytes out has for the console
 * then. */
static size_t feed_console(struct rfb *r, const char *password, const void *challenge, size_t n, uint8_t *out)
{
	const struct {
		const void *bytes;
		size_t size;
	} messages[] = { { VERSION, 12 }, { "\x01", 1 }, { "\x02", 1 }, { challenge, 16 }, { "\0\0\0\0", 4 } };
	size_t n_out = 0;

	rfb_init(r, password);
	for (size_t i = 0; i < n && i < COUNT(messages); i++) {
		enum rfb_peer to;
		const char *why;

		if (rfb_feed(r, messages[i].bytes, messages[i].size, out, &n_out, &to, &why) != RFB_MORE)
			return 0;
	}
	return n_out;
}

static void responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		uint8_t out[RFB_OUT_MAX];
		struct rfb r;
		/* Not one byte behind the text is read. */
		const size_t size = strlen(vectors[i].password) + 1;

		CHECK_INT(feed_console(&r, guard_copy(&password_guard, vectors[i].password, size), vectors[i].challenge,
				       4, out),
			  16, "%s", vectors[i].password);
		CHECK(memcmp(out, vectors[i].response, 16) == 0, "%s", vectors[i].password);
	}
}

static struct rfb state_of_thread;

static void *respond_in_thread(void *out)
{
	feed_console(&state_of_thread, PASSWORD, CHALLENGE, 4, out);
	return NULL;
}

static bool is_in(const void *memory, size_t size, const void *secret, size_t secret_size)
{
	return memmem(memory, size, secret, secret_size) != NULL;
}

/* Answers the challenge in a thread, and returns a copy of its stack. */
static uint8_t *stack_after_response(uint8_t out[RFB_OUT_MAX])
{
	uint8_t *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *copy = malloc(STACK_SIZE);
	pthread_attr_t attributes;
	pthread_t thread;
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	CHECK(stack != MAP_FAILED && copy && memory >= 0, "memory");
	CHECK_INT(pthread_attr_init(&attributes), 0, "pthread_attr_init()");
	CHECK_INT(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0, "pthread_attr_setstack()");
	CHECK_INT(pthread_create(&thread, &attributes, respond_in_thread, out), 0, "pthread_create()");
	CHECK_INT(pthread_join(thread, NULL), 0, "pthread_join()");
	/* The kernel copies it, because valgrind reports each read of a stack that is not in
	 * use. */
	CHECK_INT(pread(memory, copy, STACK_SIZE, (off_t)(uintptr_t)stack), STACK_SIZE, "/proc/self/mem");
	close(memory);
	pthread_attr_destroy(&attributes);
	munmap(stack, STACK_SIZE);
	return copy;
}

/* Neither the password nor the key nor its schedule stays, not even on the stack. */
static void nothing_stays(void **state)
{
	uint8_t key[8] = { 0x0E, 0x86, 0xCE, 0xCE, 0xEE, 0xF6, 0x4E, 0x26 }; /* reversed */
	uint8_t out[RFB_OUT_MAX], *stack = stack_after_response(out);
	DES_key_schedule schedule;
	size_t used = 0;

	(void)state;
	CHECK(memcmp(out, RESPONSE, 16) == 0, "the response");
	for (size_t i = 0; i < STACK_SIZE; i++)
		used += stack[i] != 0;
	CHECK(used > 0, "the thread's stack");
	CHECK(!is_in(stack, STACK_SIZE, PASSWORD, 8), "the password is on the stack");
	CHECK(!is_in(stack, STACK_SIZE, key, sizeof(key)), "the key is on the stack");
	CHECK(!is_in(stack, STACK_SIZE, RESPONSE, 16), "the response is on the stack");
	DES_set_key_unchecked(&key, &schedule);
	for (size_t i = 0; i < COUNT(schedule.ks); i++)
		CHECK(!is_in(stack, STACK_SIZE, &schedule.ks[i], sizeof(schedule.ks[i])), "round key %zu", i);
	CHECK(!is_in(&state_of_thread, sizeof(state_of_thread), PASSWORD, 4), "the password is in the state");
	CHECK(!is_in(&state_of_thread, sizeof(state_of_thread), key, 4), "the key is in the state");
	free(stack);
}

/* The password stays until the challenge, the fourth message, and never after rfb_wipe(). */
static void wiped_at_any_time(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 5; n++) {
		uint8_t out[RFB_OUT_MAX];
		enum rfb_peer from;
		struct rfb r;

		feed_console(&r, PASSWORD, CHALLENGE, n, out);
		CHECK_INT(is_in(&r, sizeof(r), PASSWORD, 8), n < 4, "%zu messages", n);
		rfb_wipe(&r);
		rfb_wipe(&r);
		CHECK(!is_in(&r, sizeof(r), PASSWORD, 4), "%zu messages", n);
		CHECK_INT(rfb_wants(&r, &from), 0, "%zu messages", n);
	}
}

/* A console that has None alone, or refuses, never needs the password. */
static void wiped_without_use(void **state)
{
	static const struct {
		const char *bytes[3];
		size_t sizes[3];
	} consoles[] = {
		{ { "RFB 003.003\n", "\0\0\0\x01" }, { 12, 4 } },
		{ { "RFB 003.003\n", "\0\0\0\0" }, { 12, 4 } },
		{ { "RFB 003.007\n", "\x01", "\x01" }, { 12, 1, 1 } },
		{ { "RFB 003.007\n", "\0" }, { 12, 1 } },
		{ { VERSION, "\x01", "\x01" }, { 12, 1, 1 } },
		{ { VERSION, "\x01", "\x03" }, { 12, 1, 1 } },
		{ { "RFB 009.003\n" }, { 12 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(consoles); i++) {
		uint8_t out[RFB_OUT_MAX];
		enum rfb_peer to;
		struct rfb r;
		const char *why;
		size_t n_out;

		rfb_init(&r, PASSWORD);
		for (size_t m = 0; m < COUNT(consoles[i].bytes) && consoles[i].bytes[m]; m++)
			rfb_feed(&r, (const uint8_t *)consoles[i].bytes[m], consoles[i].sizes[m], out, &n_out, &to,
				 &why);
		CHECK(!is_in(&r, sizeof(r), PASSWORD, 4), "console %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses),
		cmocka_unit_test(nothing_stays),
		cmocka_unit_test(wiped_at_any_time),
		cmocka_unit_test(wiped_without_use),
	};

	return RUN(tests);
}
