/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the answers of Proxmox's API. api.c and upstream.c call it.
 */
#include "session/api_answer.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "lib/uri.h"

enum {
	RELEASE_MAX = 1000, /* limit of the numbers in a release */
};

/* --- what was asked for ------------------------------------------------------------------- */

/* Reads a decimal number at *at and moves *at behind it. Returns -1 if there is none. */
static int read_number(const char **at)
{
	int number = -1;

	for (; **at >= '0' && **at <= '9'; ++*at) {
		number = (number < 0 ? 0 : number * 10) + (**at - '0');
		if (number >= RELEASE_MAX)
			return -1;
	}
	return number;
}

int api_answer_release(const char *body, size_t len)
{
	struct json_object *answer = strict_json_parse_up_to(API_ANSWER_MAX, body, len);
	struct json_object *data = strict_json_object(answer, "data");
	/* Before release 6, "release" was another number; "version" always begins with it. */
	const char *name = strict_json_has(data, "version") ? "version" : "release";
	size_t text_len;
	const char *text = strict_json_string(data, name, &text_len);
	int major = -1, minor = -1;

	if (text)
		major = read_number(&text);
	if (major >= 0 && *text == '.') {
		text++;
		minor = read_number(&text);
	}
	strict_json_wipe(answer);
	return minor >= 0 && minor < 100 ? major * 100 + minor : ERR_UPSTREAM_ANSWER;
}

/* Returns the VNC password in an answer: its first 8 bytes count. Returns NULL if it is not
 * valid. */
static const char *find_password(struct json_object *data, const char *ticket)
{
	struct json_object *member;
	const char *text;
	size_t len;

	if (!json_object_object_get_ex(data, "password", &member) || !member)
		return ticket;
	text = strict_json_string(data, "password", &len);
	return text && len > 0 ? text : NULL;
}

/* Copies the members of data to c. Returns NULL, or a phrase that says what is wrong. */
static const char *read_console(struct json_object *data, struct console *c)
{
	size_t ticket_len, user_len;
	const char *ticket = strict_json_string(data, "ticket", &ticket_len), *user, *password;
	const int64_t port = strict_json_number(data, "port", UINT16_MAX);

	if (!ticket || ticket_len == 0 || ticket_len > CONSOLE_VNCTICKET_MAX)
		return "no valid ticket in its answer";
	if (port == 0)
		return "no valid port in its answer";
	if (c->terminal) {
		/* The login's line is user:ticket. */
		user = strict_json_string(data, "user", &user_len);
		if (!user || user_len == 0 || user_len > CONSOLE_USER_MAX || strchr(user, ':'))
			return "no valid user in its answer";
		memcpy(c->user, user, user_len + 1);
	} else {
		password = find_password(data, ticket);
		if (!password)
			return "no valid password in its answer";
		memset(c->password, 0, sizeof(c->password));
		memcpy(c->password, password, strnlen(password, CONSOLE_PASSWORD_MAX));
	}
	memcpy(c->vncticket, ticket, ticket_len + 1);
	c->vnc_port = (uint16_t)port;
	return NULL;
}

int api_answer_console(const char *body, size_t len, struct console *c, const char **ret_why)
{
	struct json_object *answer = strict_json_parse_up_to(API_ANSWER_MAX, body, len);
	struct json_object *data = strict_json_object(answer, "data");
	const char *why = data ? read_console(data, c) : "its answer is not from Proxmox's API";

	strict_json_wipe(answer);
	if (!why)
		return OK;
	*ret_why = why;
	return ERR_UPSTREAM_ANSWER;
}

/* --- refusals ----------------------------------------------------------------------------- */

static bool has(struct slice s, const char *text)
{
	return !*text || memmem(s.at, s.len, text, strlen(text));
}

static bool has_secret(struct slice s, const struct console *c)
{
	const char *token = strrchr(c->ticket, '=');
	const char *const secrets[] = { c->ticket, c->vncticket, c->csrf, c->password,
					console_has_token(c) && token ? token + 1 : "" };
	char encoded[3 * CONSOLE_VNCTICKET_MAX + 1];
	bool found = false;

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		found |= *secrets[i] && has(s, secrets[i]);
	found |= *c->vncticket && uri_percent_encode(c->vncticket, encoded, sizeof(encoded)) >= 0 && has(s, encoded);
	OPENSSL_cleanse(encoded, sizeof(encoded));
	return found;
}

size_t api_answer_quote(struct slice text, const struct console *c, char *ret, size_t size)
{
	size_t n = 0;

	if (!has_secret(text, c))
		for (; n < text.len && n < size - 1; n++) {
			const char ch = text.at[n];

			ret[n] = ch >= 0x20 && ch < 0x7F && ch != '"' && ch != '=' ? ch : '?';
		}
	ret[n] = '\0';
	return n;
}

/* Appends before and text to words, text as api_answer_quote() does, without line feeds at its end.
 * Returns false, and appends nothing, if nothing is left of text. */
static bool append(char words[API_WORDS_MAX], const char *before, const char *text, const struct console *c)
{
	const size_t at = strlen(words);
	size_t len = strlen(text), n;

	while (len > 0 && strchr("\r\n ", text[len - 1]))
		len--;
	if (at + strlen(before) + 1 >= API_WORDS_MAX)
		return false;
	memcpy(words + at, before, strlen(before) + 1);
	n = api_answer_quote((struct slice){ text, len }, c, words + at + strlen(before),
			     API_WORDS_MAX - at - strlen(before));
	if (n == 0)
		words[at] = '\0';
	return n > 0;
}

/* Returns the answer's message, which mostly ends in a line feed, or "". */
static const char *find_message(struct json_object *answer)
{
	struct json_object *member;

	if (json_object_object_get_ex(answer, "message", &member) && json_object_is_type(member, json_type_string))
		return json_object_get_string(member);
	return "";
}

/* Appends the members of a 400's errors, {"vmid":"…"}, to words as "(vmid: …, …)". */
static void append_errors(char words[API_WORDS_MAX], struct json_object *errors, const struct console *c)
{
	const char *before = *words ? " (" : "(";
	const size_t at = strlen(words);

	json_object_object_foreach (errors, name, value) {
		const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

		if (!append(words, before, name, c))
			continue;
		append(words, ": ", text, c);
		before = ", ";
	}
	if (strlen(words) > at && strlen(words) + 1 < API_WORDS_MAX)
		memcpy(words + strlen(words), ")", 2);
}

/* What Proxmox answers, by its status (0: any) and a part of its words. The first row that matches
 * counts. Sources: pve-common, pve-access-control, qemu-server, pve-container, pve-http-server. */
static const struct {
	int first, last; /* statuses */
	const char *part, *known, *hint;
} refusals[] = {
	{ 401, 401, "csrf", "authentication failed",
	  "the payload's csrf must be the CSRFPreventionToken that came with its ticket" },
	{ 401, 401, "", "authentication failed", NULL },
	{ 403, 403, "", "permission denied",
	  "the user needs a role with VM.Console on the guest, and so does a token with separate privileges" },
	{ 400, 400, "", "a parameter was refused", "this release does not know a parameter that proxxy sent" },
	{ 595, 599, "", "its API does not answer", "does pvedaemon run on it, and is the guest's node on?" },
	{ 500, 599, "hostname lookup", "no such node",
	  "the payload's node is not in the cluster, or has no name in DNS" },
	{ 500, 599, "no such cluster node", "no such node", "the payload's node is not in the cluster" },
	{ 500, 599, "onfiguration file", "no such guest",
	  "it was removed, has the other type, or is on another node: proxxy finds it if the payload has no node" },
	{ 500, 599, "is locked (", "the guest is locked", "a backup, snapshot or migration is running" },
	{ 500, 599, "can't lock file", "the guest is locked", "a backup, snapshot or migration is running" },
	{ 500, 599, "serial interface", "the guest has no serial port",
	  "a VM needs one for protocol term: qm set VMID -serial0 socket" },
	{ 501, 501, "", "this kind of console is not supported",
	  "is it Proxmox VE, of a release that is still supported?" },
	{ 502, 504, "", "it does not answer", "does a proxy in front of Proxmox answer in its place?" },
	{ 300, 399, "", "a redirect", "this is not the port of Proxmox's API, which is 8006" },
};

/* Returns the hint for a 401. */
static const char *authentication_hint(const struct console *c)
{
	return console_has_token(c) ? "does the API token exist (USER@REALM!NAME=SECRET), and has it not expired?" :
				      "a user's ticket is valid for 2 hours";
}

void api_answer_refusal(const struct console *c, int status, struct slice reason, const char *body, size_t len,
			struct api_refusal *ret)
{
	struct json_object *answer = strict_json_parse_up_to(API_ANSWER_MAX, body, len), *errors;
	const char *const message = find_message(answer);
	char phrase[API_WORDS_MAX];

	*ret = (struct api_refusal){ .known = "", .hint = "" };
	api_answer_quote(reason, c, phrase, sizeof(phrase));
	append(ret->words, "", phrase, c);
	/* The message mostly repeats the phrase, with a line feed. */
	if (*phrase == '\0')
		append(ret->words, "", message, c);
	errors = strict_json_object(answer, "errors");
	if (errors)
		append_errors(ret->words, errors, c);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (status >= refusals[i].first && status <= refusals[i].last &&
		    (has(reason, refusals[i].part) || strstr(message, refusals[i].part))) {
			ret->known = refusals[i].known;
			ret->hint = refusals[i].hint ? refusals[i].hint : authentication_hint(c);
			break;
		}
	strict_json_wipe(answer);
}
