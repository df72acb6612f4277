/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the URLs of a page and of proxxy, and prints or opens them.
 */
#include "url/output.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "lib/terminal.h"
#include "lib/uri.h"
#include "url/browser.h"
#include "url/client.h"
#include "url/viewer.h"

enum { VIEWER_ARGUMENTS_MAX = 64 }; /* with the viewer's name, its socket and a NULL */

/* Writes the page's URL. Its parameters are in the fragment, which browsers do not send to the
 * server. */
static bool write_page_url(const struct url_options *o, const struct backend *backend,
			   const struct proxmox_console *console, const char *payload, char *url, size_t size)
{
	int n = snprintf(url, size, "%s%s", backend->page, o->terminal ? "xterm.html" : "novnc.html");

	if (n <= 0 || (size_t)n >= size || !uri_append(url, size, "#payload=", payload))
		return false;
	if (console && o->terminal &&
	    (!uri_append(url, size, "&user=", console->user) || !uri_append(url, size, "&ticket=", console->vncticket)))
		return false;
	if (console && !o->terminal && !uri_append(url, size, "&password=", console->password))
		return false;
	return !o->title || uri_append(url, size, "&title=", o->title);
}

static bool write_websocket_url(const struct backend *backend, const char *payload, char *url, size_t size)
{
	int n = snprintf(url, size, "%s", backend->websocket);

	return n > 0 && (size_t)n < size && uri_append(url, size, "?payload=", payload);
}

/* Copies members of details, if it has them. */
static void copy_members(struct json_object *object, struct json_object *details, const char *const *names)
{
	struct json_object *member;

	for (; *names; names++)
		if (json_object_object_get_ex(details, *names, &member))
			json_object_object_add(object, *names, json_object_get(member));
}

static void print_json(const struct url_options *o, struct json_object *details, const struct proxmox_console *console,
		       const char *payload, const char *page, const char *websocket)
{
	static const char *const asked[] = { "node", "type", "vmid", NULL };
	static const char *const link[] = { "vmid", "type", "cluster", "host", "node", "iat", "exp", "jti", NULL };
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "url", *page ? json_object_new_string(page) : NULL);
	json_object_object_add(object, "websocket", *websocket ? json_object_new_string(websocket) : NULL);
	strict_json_add_string(object, "payload", payload);
	if (console) {
		copy_members(object, details, asked);
		strict_json_add_string(object, "user", console->user);
		strict_json_add_string(object, o->terminal ? "ticket" : "password",
				       o->terminal ? console->vncticket : console->password);
	} else {
		copy_members(object, details, link);
		strict_json_add_string(object, "protocol", o->terminal ? "term" : "vnc");
	}
	terminal_print_json(object);
	strict_json_wipe(object);
}

static int open_in_viewer(const struct url_options *o, const char *websocket, const char *payload,
			  const struct proxmox_console *console, char *why, size_t size)
{
	const char *program = getenv("VNCVIEWER");
	char *argv[VIEWER_ARGUMENTS_MAX] = { (char *)(uintptr_t)(program && *program ? program : "vncviewer") };
	size_t n = 1;

	for (char **argument = o->viewer_arguments; *argument; argument++) {
		if (n + 2 >= VIEWER_ARGUMENTS_MAX)
			return error_why(why, size, ERR_CONFIG, "too many arguments for the viewer");
		argv[n++] = *argument;
	}
	return viewer_run(websocket, payload, console ? console->password : NULL, argv, why, size);
}

int output_payload(const struct url_options *o, const struct backend *backend, struct json_object *details,
		   const struct proxmox_console *console, const char *payload, char *why, size_t size)
{
	static char page[BROWSER_URL_MAX], websocket[CLIENT_URL_MAX];
	const bool has_page = *backend->page && !o->vnc;
	int rc = OK;

	if ((has_page && !write_page_url(o, backend, console, payload, page, sizeof(page))) ||
	    (*backend->websocket && !write_websocket_url(backend, payload, websocket, sizeof(websocket))))
		return error_why(why, size, ERR_SYSTEM, "the URL is too long");
	if (o->vnc && !o->cbc) /* in a subprotocol: reverse proxies log URLs */
		rc = open_in_viewer(o, backend->websocket, payload, console, why, size);
	else if (o->vnc)
		rc = open_in_viewer(o, websocket, "", console, why, size);
	else if (o->browser)
		rc = browser_open(page, why, size);
	else if (o->json)
		print_json(o, details, console, payload, page, websocket);
	else
		puts(page);
	OPENSSL_cleanse(page, sizeof(page));
	OPENSSL_cleanse(websocket, sizeof(websocket));
	return rc;
}
