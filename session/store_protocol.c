/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads hiredis, and encodes commands and reads answers with it. It uses only hiredis' protocol:
 * its I/O would block, and has no TLS in the version of Debian 12.
 *
 * hiredis' structs differ between versions, also in the answers that it makes. So this file makes
 * the answers itself, in functions that hiredis calls, and loads only the version (SONAME) that it
 * was compiled for.
 */
#include "session/store_protocol.h"

#include "lib/error.h"

#if __has_include(<hiredis/hiredis.h>) && !defined(PROXXY_NO_HIREDIS)

#include <dlfcn.h>
#include <hiredis/hiredis.h>
#include <openssl/crypto.h>
#include <string.h>

#define AS_TEXT(name) #name
#define LIBRARY_OF(version) "libhiredis.so." AS_TEXT(version)
#define VERSION_OF(version) AS_TEXT(version)
#define LIBRARY LIBRARY_OF(HIREDIS_SONAME)

/* The functions of hiredis, under their names there. */
static struct {
	void *library;
	redisReader *(*redisReaderCreateWithFunctions)(redisReplyObjectFunctions *);
	void (*redisReaderFree)(redisReader *);
	int (*redisReaderFeed)(redisReader *, const char *, size_t);
	int (*redisReaderGetReply)(redisReader *, void **);
	int (*redisFormatCommandArgv)(char **, int, const char **, const size_t *);
	void (*redisFreeCommand)(char *);
} hiredis;

static redisReader *reader;
static size_t unread;              /* bytes given to the reader since the last answer */
static struct store_answer answer; /* that the reader is making */

/* --- what hiredis calls while it reads an answer -------------------------------------------- */

/* They return the answer. NULL makes hiredis end with an error. */

static void *make_text(const redisReadTask *task, char *text, size_t len)
{
	const size_t kept = len < STORE_TEXT_MAX ? len : STORE_TEXT_MAX - 1;

	answer = (struct store_answer){ .kind = task->type == REDIS_REPLY_ERROR ? STORE_ERROR : STORE_TEXT };
	memcpy(answer.text, text, kept);
	return &answer;
}

/* No command gets an array. hiredis allocates memory for as many elements as the store says. */
#if HIREDIS_MAJOR >= 1
static void *make_array(const redisReadTask *task, size_t n)
#else
static void *make_array(const redisReadTask *task, int n)
#endif
{
	(void)task, (void)n;
	return NULL;
}

static void *make_integer(const redisReadTask *task, long long value)
{
	(void)task;
	answer = (struct store_answer){ .kind = STORE_INTEGER, .integer = value };
	return &answer;
}

static void *make_nil(const redisReadTask *task)
{
	(void)task;
	answer = (struct store_answer){ .kind = STORE_NIL };
	return &answer;
}

#if HIREDIS_MAJOR >= 1
/* RESP 3, which proxxy does not ask for. */
static void *make_double(const redisReadTask *task, double value, char *text, size_t len)
{
	(void)task, (void)value, (void)text, (void)len;
	return NULL;
}

static void *make_boolean(const redisReadTask *task, int value)
{
	(void)task, (void)value;
	return NULL;
}
#endif

static void free_answer(void *unused)
{
	(void)unused;
}

static redisReplyObjectFunctions functions = {
	.createString = make_text,
	.createArray = make_array,
	.createInteger = make_integer,
	.createNil = make_nil,
#if HIREDIS_MAJOR >= 1
	.createDouble = make_double,
	.createBool = make_boolean,
#endif
	.freeObject = free_answer,
};

/* --- store_protocol.h ----------------------------------------------------------------------- */

/* Sets a pointer to the library's function of that name. Returns false if it has none. */
static bool find(const char *name, void *ret_function, size_t size)
{
	void *function = dlsym(hiredis.library, name);

	memcpy(ret_function, (const void *)&function, size);
	return function != NULL;
}

#define FIND(name) find(#name, (void *)&hiredis.name, sizeof(hiredis.name))

/* Returns false if the library is missing, or lacks a function. */
static bool load(void)
{
	if (!hiredis.library)
		hiredis.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	return hiredis.library && FIND(redisReaderCreateWithFunctions) && FIND(redisReaderFree) &&
	       FIND(redisReaderFeed) && FIND(redisReaderGetReply) && FIND(redisFormatCommandArgv) &&
	       FIND(redisFreeCommand);
}

int store_protocol_open(char *why, size_t size)
{
	store_protocol_close();
	if (!load())
		return error_why(why, size, ERR_CONFIG,
				 "PROXXY_REPLAY_STORE needs " LIBRARY ", which cannot be loaded. On Debian and "
				 "Ubuntu, the package libhiredis" VERSION_OF(HIREDIS_SONAME) " has it");
	reader = hiredis.redisReaderCreateWithFunctions(&functions);
	return reader ? OK : error_why(why, size, ERR_SYSTEM, "out of memory");
}

int store_protocol_encode(store_command command, char **ret)
{
	const char *arguments[STORE_ARGUMENTS_MAX];
	int n = 0, size;

	while (n < STORE_ARGUMENTS_MAX && command[n]) {
		arguments[n] = command[n];
		n++;
	}
	size = hiredis.redisFormatCommandArgv(ret, n, arguments, NULL);
	return size > 0 ? size : ERR_SYSTEM;
}

void store_protocol_free(char *encoded, int size)
{
	OPENSSL_cleanse(encoded, (size_t)size); /* AUTH has a password */
	hiredis.redisFreeCommand(encoded);
}

int store_protocol_feed(const void *bytes, size_t size)
{
	unread += size;
	if (unread > STORE_ANSWER_MAX)
		return ERR_STORE;
	return hiredis.redisReaderFeed(reader, bytes, size) == REDIS_OK ? OK : ERR_STORE;
}

int store_protocol_next(struct store_answer *ret)
{
	void *reply = NULL;

	if (hiredis.redisReaderGetReply(reader, &reply) != REDIS_OK)
		return ERR_STORE;
	if (!reply)
		return 0;
	unread = 0;
	*ret = answer;
	return reply == &answer ? 1 : ERR_STORE;
}

void store_protocol_close(void)
{
	if (reader)
		hiredis.redisReaderFree(reader);
	reader = NULL;
	unread = 0;
}

#else /* without hiredis: store_protocol_open() fails, and nobody calls the others */

int store_protocol_open(char *why, size_t size)
{
	return error_why(why, size, ERR_CONFIG, "PROXXY_REPLAY_STORE: this proxxy-conn was built without hiredis");
}

int store_protocol_encode(store_command command, char **ret)
{
	(void)command, (void)ret;
	return ERR_SYSTEM;
}

void store_protocol_free(char *encoded, int size)
{
	(void)encoded, (void)size;
}

int store_protocol_feed(const void *bytes, size_t size)
{
	(void)bytes, (void)size;
	return ERR_STORE;
}

int store_protocol_next(struct store_answer *ret)
{
	(void)ret;
	return ERR_STORE;
}

void store_protocol_close(void)
{
}
#endif
