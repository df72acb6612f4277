/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs in to Proxmox's API, and adds the headers that authenticate later calls.
 */
#include "lib/curl_login.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "lib/uri.h"

enum { FORM_MAX = 3 * CONSOLE_TICKET_MAX + 3 * API_USER_MAX + 64 /* bytes of a login's form, with its NUL */ };

/* Sets api->why. Returns code. */
#define fail(api, code, ...) error_why((api)->why, sizeof((api)->why), code, __VA_ARGS__)

int api_use_token(struct api *api, const char *token)
{
	if (strlen(token) > CONSOLE_TICKET_MAX - strlen("PVEAPIToken="))
		return fail(api, ERR_CONFIG, "the token is longer than %d bytes", CONSOLE_TICKET_MAX);
	return api_add_header(api, "Authorization: PVEAPIToken=", token) ? OK : fail(api, ERR_SYSTEM, "out of memory");
}

/* Reads the answer to a login, and adds the headers of later calls. */
static int take_ticket(struct api *api, const char *user, char ret_ticket[CONSOLE_TICKET_MAX + 1])
{
	char ticket[CONSOLE_TICKET_MAX + 1] = "", csrf[CONSOLE_TICKET_MAX] = "";
	struct json_object *answer = NULL, *data = NULL;
	int rc = api_data(api, &answer, &data);

	if (rc < 0)
		return rc;
	if (!json_object_is_type(data, json_type_object))
		rc = fail(api, ERR_UPSTREAM_ANSWER, "%s: its answer is not from Proxmox's API", api->host);
	else if (!strict_json_copy(data, "ticket", ticket, sizeof(ticket)) ||
		 !strict_json_copy(data, "CSRFPreventionToken", csrf, sizeof(csrf)))
		rc = fail(api, ERR_UPSTREAM_ANSWER, "%s: its answer to the login has no ticket", api->host);
	else if (strncmp(ticket, "PVE:!tfa!", strlen("PVE:!tfa!")) == 0 || strict_json_integer(data, "NeedTFA", 1) == 1)
		rc = fail(api, ERR_UPSTREAM_REFUSED,
			  "%s: %s has a second factor, which %s cannot ask for; "
			  "use an API token",
			  api->host, user, api->program);
	else if (!api_add_header(api, "Authorization: PVEAuthCookie=", ticket) ||
		 !api_add_header(api, "CSRFPreventionToken: ", csrf))
		rc = fail(api, ERR_SYSTEM, "out of memory");
	if (ret_ticket)
		memcpy(ret_ticket, ticket, sizeof(ticket));
	OPENSSL_cleanse(ticket, sizeof(ticket));
	OPENSSL_cleanse(csrf, sizeof(csrf));
	strict_json_wipe(answer);
	return rc;
}

int api_log_in(struct api *api, const char *user, const char *password, char ret_ticket[CONSOLE_TICKET_MAX + 1])
{
	char form[FORM_MAX] = "";
	int rc = OK;

	if (!uri_append(form, sizeof(form), "username=", user) ||
	    !uri_append(form, sizeof(form), "&password=", password))
		rc = fail(api, ERR_CONFIG, "the user or the password is too long");
	if (rc == OK)
		rc = api_call(api, API_POST, "/access/ticket", form);
	OPENSSL_cleanse(form, sizeof(form));
	return rc == OK ? take_ticket(api, user, ret_ticket) : rc;
}

bool api_takes_code(const char *challenge)
{
	/* The ticket has the challenge as JSON, in which only the colons are percent-encoded
	 * (pve-common: Ticket.pm, assemble_rsa_ticket()). */
	return strstr(challenge, "\"totp\"%3Atrue") != NULL;
}

int api_answer_code(struct api *api, const char *user, const char *challenge, const char *code)
{
	char form[FORM_MAX] = "", answer[64];
	int rc = OK;

	if ((size_t)snprintf(answer, sizeof(answer), "totp:%s", code) >= sizeof(answer) ||
	    !uri_append(form, sizeof(form), "username=", user) ||
	    !uri_append(form, sizeof(form), "&tfa-challenge=", challenge) ||
	    !uri_append(form, sizeof(form), "&password=", answer))
		rc = fail(api, ERR_CONFIG, "the one-time code is too long");
	if (rc == OK)
		rc = api_call(api, API_POST, "/access/ticket", form);
	OPENSSL_cleanse(form, sizeof(form));
	OPENSSL_cleanse(answer, sizeof(answer));
	return rc == OK ? take_ticket(api, user, NULL) : rc;
}
