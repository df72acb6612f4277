/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the answers of Proxmox's API that a session needs, and puts refusals into words. Pure.
 */
#ifndef PROXXY_API_ANSWER_H
#define PROXXY_API_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/payload.h"
#include "lib/slice.h"

enum {
	API_ANSWER_MAX = 64 * 1024, /* bytes of a body; that of vncproxy has 3 KiB */
	API_WORDS_MAX = 160,        /* bytes of Proxmox's words that the log gets, with their NUL */
	API_RELEASE_9_2 = 902,      /* from this release on, a VM's vncproxy always sends the password */
};

/* Parses the body of GET /version, {"data":{"version":"9.2.1",…}}. Returns the release as 100 times
 * the first number and the second: 902. Returns ERR_UPSTREAM_ANSWER for any other text. */
int api_answer_release(const char *body, size_t len);

/* Parses the body of POST …/vncproxy, or …/termproxy if c->terminal:
 * {"data":{"ticket":…,"port":"5900","user":…,"password":…,…}}. Sets c->vncticket, c->vnc_port and,
 * for the login to the console, c->user or c->password. Without a password in the answer, that is
 * the first 8 characters of the ticket. Ignores other members.
 * Returns 0. Otherwise returns ERR_UPSTREAM_ANSWER, and a static phrase in *ret_why; *c is then
 * unchanged. */
int api_answer_console(const char *body, size_t len, struct console *c, const char **ret_why);

/* Why Proxmox refused. */
struct api_refusal {
	const char *known;         /* for the client: a static phrase that names nothing, or "" */
	const char *hint;          /* for the log: what a person can do about it, static; or "" */
	char words[API_WORDS_MAX]; /* for the log: Proxmox's own words, or "" */
};

/* Puts an answer with another status than 200 into words: its reason phrase, and in its body
 * message and errors, which names the parameters that a 400 is about. Never returns a secret of c,
 * which a server that is not Proxmox may echo. */
void api_answer_refusal(const struct console *c, int status, struct slice reason, const char *body, size_t len,
			struct api_refusal *ret);

/* Copies text to ret, which has room for size bytes, without characters that could look like fields
 * of the log. Copies nothing if text holds a secret of c: a ticket as it is or percent-encoded, the
 * secret part of an API token, a password, or the CSRF token. Returns the count of bytes. */
size_t api_answer_quote(struct slice text, const struct console *c, char *ret, size_t size);

#endif
