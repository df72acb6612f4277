/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends proxxy-setup's requests to Proxmox's API, and reads its answers.
 */
#include "setup/request.h"

#include <errno.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/curl_login.h"
#include "lib/error.h"
#include "lib/settings.h"
#include "lib/strict_json.h"
#include "lib/uri.h"
#include "setup/ask.h"
#include "setup/report.h"

static const char *hint(int status)
{
	switch (status) {
	case 401:
		return ". Check user, password and one-time code, or that the token is correct and has not expired";
	case 403:
		return ". This needs root@pam, or a user with the role Administrator on /. An API token whose "
		       "privileges are separated needs that role itself";
	case 301:
	case 302:
	case 308:
	case 404:
	case 501:
		return ". Is this Proxmox VE, on its API's port (8006)?";
	case 595:
	case 596:
		return ". The node does not answer; is it off?";
	default:
		return "";
	}
}

void request_prepare(struct setup *s, struct api *api, const char *secret)
{
	*api = (struct api){
		.program = "proxxy-setup",
		.host = s->options.host,
		.ca_file = "",
		.fingerprint = s->certificate.fingerprint,
		.untrusted = "",
		.hint = hint,
		.secrets = { secret, NULL },
		.body = s->answer,
		.body_size = sizeof(s->answer),
	};
}

static int fail(const struct api *api, int code)
{
	return report_error(report_status(code, api->status), "%s", api->why);
}

/* --- identity ----------------------------------------------------------------------------- */

/* Reads the token's file, or standard input, to token, without white space around it. */
static int read_token(const char *path, char token[SETUP_SECRET_MAX])
{
	const bool standard_input = strcmp(path, "-") == 0;
	ssize_t n = settings_read_file(standard_input ? "/dev/stdin" : path, token, SETUP_SECRET_MAX);
	const char *name = standard_input ? "standard input" : path, *prefix = "PVEAPIToken=";
	char *at = token, *bang, *secret;

	if (n < 0)
		return report_error(EX_NOINPUT, "%s: %s", name, strerror((int)-n));
	at += strspn(at, " \t\r\n\"'");
	if (strncmp(at, prefix, strlen(prefix)) == 0)
		at += strlen(prefix);
	memmove(token, at, strlen(at) + 1);
	for (size_t len = strlen(token); len > 0 && strchr(" \t\r\n\"'", token[len - 1]); len--)
		token[len - 1] = '\0';
	bang = strchr(token, '!');
	secret = bang ? strchr(bang, '=') : NULL;
	if (!bang || !secret || !secret[1] || !memchr(token, '@', (size_t)(bang - token)) ||
	    strpbrk(token, " \t\r\n")) {
		OPENSSL_cleanse(token, SETUP_SECRET_MAX);
		return report_error(EX_DATAERR, "%s must contain one line, USER@REALM!NAME=SECRET", name);
	}
	return EX_OK;
}

static int log_in_with_token(struct setup *s)
{
	static char token[SETUP_SECRET_MAX];
	int rc = read_token(s->options.token_file, token), code;

	if (rc != EX_OK)
		return rc;
	request_prepare(s, &s->api, strchr(token, '=') + 1);
	code = api_use_token(&s->api, token);
	/* Tells at once whether the token is right. */
	if (code == OK)
		code = api_call(&s->api, API_GET, "/version", "");
	rc = code < 0 ? fail(&s->api, code) : EX_OK;
	s->api.secrets[0] = NULL; /* the header has it, which api.c looks at as well */
	OPENSSL_cleanse(token, sizeof(token));
	return rc;
}

/* Answers the challenge of a second factor, which is in the ticket. */
static int answer_challenge(struct setup *s, const char *challenge)
{
	char code[32], prompt[128];
	int rc;

	if (!api_takes_code(challenge))
		return report_error(
			EX_NOPERM,
			"%s. Make a token: \"pveum user token add %s setup --privsep 0\" on the Proxmox host, "
			"and give it with --token-file",
			s->api.why, s->options.user);
	snprintf(prompt, sizeof(prompt), "One-time code of %s: ", s->options.user);
	if (!ask_password(prompt, code, sizeof(code)))
		return report_error(EX_NOINPUT, "no one-time code. Nothing was changed");
	rc = api_answer_code(&s->api, s->options.user, challenge, code);
	return rc < 0 ? fail(&s->api, rc) : EX_OK;
}

static int log_in_with_password(struct setup *s)
{
	static char password[SETUP_SECRET_MAX], ticket[CONSOLE_TICKET_MAX + 1];
	char prompt[128];
	int code;

	if (!ask_possible())
		return report_error(EX_NOINPUT, "there is no terminal to ask for the password of %s. Use --token-file",
				    s->options.user);
	snprintf(prompt, sizeof(prompt), "Password of %s on %.60s: ", s->options.user, s->options.address.host);
	if (!ask_password(prompt, password, sizeof(password)))
		return report_error(EX_NOINPUT, "no password. Nothing was changed");
	request_prepare(s, &s->api, password);
	code = api_log_in(&s->api, s->options.user, password, ticket);
	s->api.secrets[0] = NULL;
	OPENSSL_cleanse(password, sizeof(password));
	if (code == ERR_UPSTREAM_REFUSED && s->api.status == 200)
		code = answer_challenge(s, ticket);
	else
		code = code < 0 ? fail(&s->api, code) : EX_OK;
	OPENSSL_cleanse(ticket, sizeof(ticket));
	return code;
}

int request_log_in(struct setup *s)
{
	return s->options.token_file ? log_in_with_token(s) : log_in_with_password(s);
}

/* --- calls -------------------------------------------------------------------------------- */

int request_send(struct setup *s, enum api_method method, const char *path, const char *fields)
{
	const int code = api_call(&s->api, method, path, fields);

	return code < 0 ? fail(&s->api, code) : EX_OK;
}

int request_list(struct api *api, const char *path, const char *fields, struct json_object **ret_answer,
		 struct json_object **ret_list)
{
	int code = api_call(api, API_GET, path, fields);

	*ret_answer = *ret_list = NULL;
	if (code == OK)
		code = api_data(api, ret_answer, ret_list);
	if (code == OK && !json_object_is_type(*ret_list, json_type_array)) {
		strict_json_wipe(*ret_answer);
		*ret_answer = *ret_list = NULL;
		code = error_why(api->why, sizeof(api->why), ERR_UPSTREAM_ANSWER,
				 "%s: its answer to %s is not from Proxmox's API", api->host, path);
	}
	return code < 0 ? fail(api, code) : EX_OK;
}

bool request_add(char fields[REQUEST_FIELDS_MAX], const char *name, const char *value)
{
	char before[64];

	snprintf(before, sizeof(before), "%s%s=", *fields ? "&" : "", name);
	return uri_append(fields, REQUEST_FIELDS_MAX, before, value);
}

/* --- answers ------------------------------------------------------------------------------ */

const char *request_text(struct json_object *object, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(object, name, &member) && json_object_is_type(member, json_type_string) ?
		       json_object_get_string(member) :
		       "";
}

bool request_flag(struct json_object *object, const char *name, bool missing)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member) || !member)
		return missing;
	if (json_object_is_type(member, json_type_string))
		return *json_object_get_string(member) && strcmp(json_object_get_string(member), "0") != 0;
	return json_object_get_boolean(member);
}

struct json_object *request_find(struct json_object *list, const char *name, const char *value)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);

		if (strcmp(request_text(entry, name), value) == 0)
			return entry;
	}
	return NULL;
}
