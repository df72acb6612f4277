/* SPDX-License-Identifier: Apache-2.0
 *
 * What a login (login.h) must do with the data that the console and the client sent, for
 * fuzz_session.c: how much of it the login takes, which bytes either side gets, and which outcomes
 * can come of it.
 */
#ifndef PROXXY_TESTS_FUZZ_LOGIN_MODEL_H
#define PROXXY_TESTS_FUZZ_LOGIN_MODEL_H

#include "lib/payload.h"
#include "tests/fuzz/session/reference_rfb.h"

enum {
	LOGIN_MODEL_LINE = CONSOLE_USER_MAX + CONSOLE_VNCTICKET_MAX + 4, /* bytes of "USER:TICKET\n" with a NUL */
	LOGIN_MODEL_GREETING = 12,                                       /* bytes of the first message to the client */
	RESPONSE = 16,                                                   /* bytes of the response to a challenge */
};

/* Arrays of two have a member for the console and one for the client: enum rfb_peer. */
struct login_model {
	bool began, terminal;
	char password[CONSOLE_PASSWORD_MAX + 1], line[LOGIN_MODEL_LINE];
	size_t seen[2];           /* bytes of the console's and of the client's data that were looked at */
	struct reference_rfb rfb; /* of a terminal, only result counts */
	size_t taken[2];          /* bytes of either's data that the login takes; final if result is RFB_DONE */
	size_t due[2];            /* bytes of the login that either is to get */
	size_t sent[2];           /* of these, the bytes that it got */
	uint8_t response[RESPONSE];
	bool greeted; /* the client's part has begun: it got the first message */
};

/* The login to c begins. */
void login_model_begin(struct login_model *m, const struct console *c);

/* The console's data[0..n) and the client's were read, from the session's beginning. */
void login_model_update(struct login_model *m, const uint8_t *console, size_t n_console, const uint8_t *client,
			size_t n_client);

/* True if the next byte to a side belongs to the login. */
bool login_model_sends(const struct login_model *m, enum rfb_peer to);

/* Checks the next byte of the login to a side. */
void login_model_byte(struct login_model *m, enum rfb_peer to, uint8_t byte);

/* What is known when a login ends. */
struct login_end {
	bool console_ended;    /* Proxmox sent a Close or a FIN */
	bool console_broke;    /* its connection does not work */
	bool console_violates; /* it sent no legal frame, or a fragment */
	bool client_closed, client_broke, client_violates;
	bool late; /* the time of the part that the login was in is over */
	bool terminated, without_random;
};

/* Fails if the login must not end with the code outcome. */
void login_model_end(const struct login_model *m, int outcome, const struct login_end *end);

#endif
