/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests a console from Proxmox's API.
 */
#include "url/proxmox.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/curl_login.h"
#include "lib/error.h"
#include "lib/strict_json.h"

enum { PATH_MAX_LEN = CONSOLE_HOST_MAX + 128 /* bytes of an API path, with its NUL */ };

static const char *hint_for_token(int status)
{
	switch (status) {
	case 401:
		return ". Check that the token in PROXMOX_TOKEN_FILE is correct (USER@REALM!NAME=SECRET) "
		       "and has not expired";
	case 403:
		return ". The user needs a role with VM.Console on the guest; so does the token, if its "
		       "privileges are separated";
	case 301:
	case 308:
		return ". This is not Proxmox's API port, which is 8006";
	default:
		return "";
	}
}

static const char *hint_for_user(int status)
{
	return status == 401 ? ". Check that PROXMOX_USER (USER@REALM) and the password in "
			       "PROXMOX_PASSWORD_FILE are correct" :
			       hint_for_token(status);
}

/* Reads the answer of vncproxy or termproxy. Its "ticket" is what the payload calls vncticket. */
static int read_console(struct api *api, enum proxmox_kind kind, struct proxmox_console *ret)
{
	struct json_object *answer = NULL, *data = NULL;
	int rc = api_data(api, &answer, &data);
	int64_t number;
	bool done;

	if (rc < 0)
		return rc;
	if (!json_object_is_type(data, json_type_object)) {
		strict_json_wipe(answer);
		return error_why(api->why, sizeof(api->why), ERR_UPSTREAM_ANSWER,
				 "%s: its answer is not from Proxmox's API", api->host);
	}
	done = strict_json_copy(data, "ticket", ret->vncticket, sizeof(ret->vncticket)) &&
	       strict_json_copy(data, "user", ret->user, sizeof(ret->user));
	number = strict_json_integer(data, "port", UINT16_MAX);
	if (number > 0)
		snprintf(ret->port, sizeof(ret->port), "%u", (unsigned)(uint16_t)number);
	else
		done = done && strict_json_copy(data, "port", ret->port, sizeof(ret->port)) &&
		       strspn(ret->port, "0123456789") == strlen(ret->port) &&
		       strtol(ret->port, NULL, 10) <= UINT16_MAX;
	/* If there is no password, the ticket is the password. RFB uses its first 8 characters. */
	if (kind == PROXMOX_VNC && !strict_json_copy(data, "password", ret->password, sizeof(ret->password)))
		snprintf(ret->password, sizeof(ret->password), "%.8s", ret->vncticket);
	strict_json_wipe(answer);
	return done ? OK :
		      error_why(api->why, sizeof(api->why), ERR_UPSTREAM_ANSWER,
				"%s: its answer lacks a ticket, port or user", api->host);
}

/* Authenticates. Copies the ticket for the payload to ret. */
static int authenticate(struct api *api, const struct proxmox *p, struct proxmox_console *ret)
{
	int rc;

	if (!p->token)
		return api_log_in(api, p->user, p->password, ret->ticket);
	rc = api_use_token(api, p->token);
	if (rc == OK)
		snprintf(ret->ticket, sizeof(ret->ticket), "PVEAPIToken=%s", p->token);
	return rc;
}

int proxmox_open_console(struct proxmox *p, const char *node, const char *type, uint32_t vmid, enum proxmox_kind kind,
			 struct proxmox_console *ret)
{
	static char body[PROXMOX_ANSWER_MAX]; /* may hold tickets; api_end() overwrites it */
	const char *secret = p->token ? strchr(p->token, '=') : NULL;
	struct api api = {
		.program = "proxxy-url",
		.host = p->host,
		.ca_file = p->ca_file,
		.untrusted = "Set PROXXY_CA_FILE to "
			     "the cluster's pve-root-ca.pem, or leave it empty if a public CA (ACME) has signed the "
			     "certificate; PROXMOX_HOST must be a name or address in the certificate",
		.hint = p->token ? hint_for_token : hint_for_user,
		.secrets = { secret ? secret + 1 : NULL, p->password },
		.body = body,
		.body_size = sizeof(body),
	};
	char path[PATH_MAX_LEN];
	const char *fields = "";
	int rc;

	memset(ret, 0, sizeof(*ret));
	snprintf(path, sizeof(path), "/nodes/%s/%s/%u/%s", node, type, vmid,
		 kind == PROXMOX_VNC ? "vncproxy" : "termproxy");
	if (kind == PROXMOX_VNC)
		fields = strcmp(type, "qemu") == 0 ? "websocket=1&generate-password=1" : "websocket=1";

	rc = authenticate(&api, p, ret);
	if (rc == OK)
		rc = api_call(&api, API_POST, path, fields);
	/* Since 9.2 Proxmox always sends "password", and plans to remove the parameter. */
	if (rc == ERR_UPSTREAM_REFUSED && api_refused_parameter(&api, "generate-password"))
		rc = api_call(&api, API_POST, path, "websocket=1");
	if (rc == OK)
		rc = read_console(&api, kind, ret);
	api_end(&api);
	p->status = api.status;
	snprintf(p->why, sizeof(p->why), "%s", api.why);
	if (rc < 0)
		proxmox_wipe(ret);
	return rc;
}

void proxmox_wipe(struct proxmox_console *console)
{
	OPENSSL_cleanse(console, sizeof(*console));
}
