/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared store (PROXXY_REPLAY_STORE): a Valkey or Redis server that several machines use, so
 * that a link opens one console on all of them together. single_use.c and store_sub.c say what is
 * kept there.
 *
 * The process has one connection, which the first question makes. All questions together may take
 * STORE_TIMEOUT_MS. After the first failure every question fails, without asking.
 */
#ifndef PROXXY_STORE_H
#define PROXXY_STORE_H

#include "lib/config.h"
#include "session/store_protocol.h"

enum {
	STORE_TIMEOUT_MS = 1000, /* for connecting, and for all answers */
	STORE_WHY_MAX = 256,     /* bytes of a sentence about a failure, with its NUL */
};

/* Sends a command and waits for its answer; connects before, and logs in, if it is the first. The
 * caller must be outside the second sandbox, and have started OpenSSL.
 * Returns 0 with *ret, which is no error. Otherwise returns, with a sentence for the log in
 * why[0..size) that holds no secret: ERR_STORE; ERR_CONFIG if a library, or a file that the
 * settings name, is missing; END_TERMINATED or ERR_SYSTEM. */
int store_ask(const struct config *config, store_command command, struct store_answer *ret, char *why, size_t size);

/* Decides what a result of store_ask() means for the session. Returns OK if it is ERR_STORE and
 * PROXXY_STORE_FAILURE is local: then logs the first why as a warning, and makes why empty. Else
 * returns rc. */
int store_judge(const struct config *config, int rc, char *why);

/* Connects as store_ask() does, and tests whether proxxy may write. For --check. Returns as
 * store_ask(). */
int store_check(const struct config *config, char *why, size_t size);

/* --- without waiting, also in the second sandbox -------------------------------------------- */

/* Sends a command. Returns 0; IO_AGAIN if there is no room for it now; or ERR_STORE with why. */
int store_post(store_command command, char *why, size_t size);

/* Reads what came. Returns how many answers that is, or ERR_STORE with why: an answer is an error,
 * or the connection is lost. */
int store_collect(char *why, size_t size);

/* Closes the connection, if there is one. */
void store_close(void);

#endif
