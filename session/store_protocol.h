/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of Redis and Valkey (RESP 2): writes commands and reads answers, with hiredis, which
 * is loaded when it is first needed. So a session without a store does not load it. Does no I/O:
 * store.c does it.
 */
#ifndef PROXXY_STORE_PROTOCOL_H
#define PROXXY_STORE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

enum {
	STORE_TEXT_MAX = 160,         /* bytes of an answer's text that are kept, with the NUL */
	STORE_ANSWER_MAX = 16 * 1024, /* bytes of an answer; those that proxxy asks for have less than 1 KiB */
	STORE_ARGUMENTS_MAX = 10,     /* of a command, with its name */
};

enum store_kind { STORE_TEXT, STORE_INTEGER, STORE_NIL, STORE_ERROR };

struct store_answer {
	enum store_kind kind;
	long long integer;         /* of STORE_INTEGER */
	char text[STORE_TEXT_MAX]; /* of STORE_TEXT and STORE_ERROR, cut off if it is longer */
};

/* The command's name and its arguments, NUL-terminated. The last is followed by NULL. */
typedef const char *const store_command[STORE_ARGUMENTS_MAX + 1];

/* Loads hiredis, of the version that this program was compiled for, and makes a reader without
 * input. Returns 0, or ERR_CONFIG with a sentence in why[0..size): the library is missing. */
int store_protocol_open(char *why, size_t size);

/* Encodes a command. Returns its size in bytes with *ret, which store_protocol_free() overwrites
 * and frees; or ERR_SYSTEM without memory. */
int store_protocol_encode(store_command command, char **ret);
void store_protocol_free(char *encoded, int size);

/* Gives the reader bytes[0..size), which the store sent. Returns 0, or ERR_STORE if more than
 * STORE_ANSWER_MAX bytes came without an answer, or without memory. */
int store_protocol_feed(const void *bytes, size_t size);

/* Takes the next whole answer of those bytes. Returns 1 with *ret, 0 if more bytes are needed, or
 * ERR_STORE if they are not the protocol, or an answer of a kind that no command of proxxy gets. */
int store_protocol_next(struct store_answer *ret);

/* Frees the reader. The library stays loaded. */
void store_protocol_close(void);

#endif
