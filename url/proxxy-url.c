/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-url: the backend's side in one call. Asks Proxmox for a guest's console, seals what it answers, and prints
 * the URL of the console's page; or opens it in a native viewer. Also seals and explains payloads, and makes keys.
 */
#include <errno.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "lib/error.h"
#include "lib/host.h"
#include "lib/jwe.h"
#include "lib/strict_json.h"
#include "lib/terminal.h"
#include "lib/uri.h"
#include "url/backend.h"
#include "url/client.h"
#include "url/explain.h"
#include "url/options.h"
#include "url/proxmox.h"
#include "url/viewer.h"

enum {
	INPUT_MAX = 64 * 1024,      /* bytes of standard input: a payload, or details */
	PAYLOAD_MAX = 16 * 1024,    /* bytes of a payload, with its NUL; proxxy takes no head over 16 KiB */
	JTI_BYTES = 16,             /* as random as a UUID */
};

static struct url_options options;
static struct backend backend;

/* Says what is wrong, as plain text whatever is in it: some of it came over the network. Returns status. */
static int __attribute__((format(printf, 2, 3))) fail(int status, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7F)
			*at = '?'; /* terminals obey the controls above 0x7F, too */
	fprintf(stderr, "proxxy-url: %s\n", text);
	return status;
}

/* Tickets and keys go through here: no core dumps, and nobody else reads this process. */
static void harden(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	signal(SIGPIPE, SIG_IGN); /* writing says so */
}

/* --- sealing ------------------------------------------------------------------------------ */

/* Claims that every JWE of ours has, unless it has them already. */
static int add_claims(struct json_object *details)
{
	uint8_t random[JTI_BYTES];
	char jti[2 * JTI_BYTES + 1];

	if (RAND_bytes(random, sizeof(random)) != 1 || crypto_base64url_encode(random, sizeof(random), jti, sizeof(jti)) < 0)
		return fail(EX_OSERR, "no randomness");
	if (!strict_json_has(details, "exp"))
		strict_json_add_integer(details, "exp", time(NULL) + options.lifetime);
	if (!strict_json_has(details, "jti"))
		strict_json_add_string(details, "jti", jti);
	return EX_OK;
}

/* Seals details, which it checks as proxxy will. Returns 0, or an exit status when it has said why. */
static int seal(struct json_object *details, char payload[PAYLOAD_MAX])
{
	const struct key *key = &backend.keys[0];
	struct console console;
	struct claims claims = { 0 };
	const char *text, *why;
	size_t len;
	int rc = options.cbc ? EX_OK : add_claims(details);

	if (rc != EX_OK)
		return rc;
	text = json_object_to_json_string_length(details, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (payload_parse(text, len, &console, options.cbc ? NULL : &claims, &why) < 0)
		return fail(EX_DATAERR, "proxxy would refuse these details: %s", why);
	why = console_ticket_wrong(&console);
	console_wipe(&console);
	free(claims.ca);
	if (why)
		return fail(EX_DATAERR, "Proxmox would refuse these details: %s", why);
	rc = options.cbc ? crypto_seal_cbc(key->key, (const uint8_t *)text, len, payload, PAYLOAD_MAX) :
			   jwe_seal(key, (const uint8_t *)text, len, payload, PAYLOAD_MAX);
	return rc < 0 ? fail(EX_DATAERR, "the details are too long to be sealed into a URL") : EX_OK;
}

/* --- a console ---------------------------------------------------------------------------- */

/* The CAs that proxxy is to trust for this console: those that we trust. Bundles are too long for a URL: proxxy's own
 * settings count then. */
static void add_ca(struct json_object *details)
{
	char pem[CLAIMS_CA_MAX + 1];
	const char *first = NULL; /* what is before it is a comment */

	if (*backend.ca_file && settings_read_file(backend.ca_file, pem, sizeof(pem)) > 0)
		first = strstr(pem, "-----BEGIN CERTIFICATE-----");
	if (first)
		strict_json_add_string(details, "ca", first);
}

static struct json_object *details_of(const struct proxmox_console *console, const char *host)
{
	struct json_object *details = json_object_new_object();

	strict_json_add_integer(details, "vmid", options.vmid);
	strict_json_add_string(details, "type", options.type);
	strict_json_add_string(details, "host", host);
	strict_json_add_string(details, "node", options.node);
	strict_json_add_string(details, "ticket", console->ticket);
	strict_json_add_string(details, "vncticket", console->vncticket);
	strict_json_add_string(details, "port", console->port);
	if (options.cbc)
		return details;
	add_ca(details);
	if (options.origin && *options.origin)
		strict_json_add_string(details, "origin", options.origin);
	if (options.client)
		strict_json_add_string(details, "client", options.client);
	if (options.session_max)
		strict_json_add_integer(details, "session_max", options.session_max);
	return details;
}

/* Appends name and value, percent-encoded, to a fragment. Returns false when it does not fit. */
static bool append(char *url, size_t size, const char *name, const char *value)
{
	size_t at = strlen(url);
	int n = snprintf(url + at, size - at, "%s=", name);

	return n > 0 && (size_t)n < size - at && uri_percent_encode(value, url + at + n, size - at - (size_t)n) >= 0;
}

/* The page's URL. What it needs is in the fragment, which browsers keep to themselves. */
static bool page_url(const struct proxmox_console *console, const char *payload, char *url, size_t size)
{
	int n = snprintf(url, size, "%s%s", backend.page, options.xterm ? "xterm.html" : "novnc.html");

	return n > 0 && (size_t)n < size && append(url, size, "#payload", payload) &&
	       (options.xterm ? append(url, size, "&user", console->user) && append(url, size, "&ticket", console->vncticket) :
				append(url, size, "&password", console->password)) &&
	       (!options.title || append(url, size, "&title", options.title));
}

static bool websocket_url(const char *payload, char *url, size_t size)
{
	int n = snprintf(url, size, "%s", backend.websocket);

	return n > 0 && (size_t)n < size && append(url, size, "?payload", payload);
}

static void print_json(const struct proxmox_console *console, const char *payload, const char *page, const char *websocket)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "url", *page ? json_object_new_string(page) : NULL);
	json_object_object_add(object, "websocket", *websocket ? json_object_new_string(websocket) : NULL);
	strict_json_add_string(object, "payload", payload);
	strict_json_add_string(object, "node", options.node);
	strict_json_add_string(object, "type", options.type);
	strict_json_add_integer(object, "vmid", options.vmid);
	strict_json_add_string(object, "user", console->user);
	strict_json_add_string(object, options.xterm ? "ticket" : "password", options.xterm ? console->vncticket : console->password);
	terminal_print_json(object);
	strict_json_wipe(object);
}

/* 401 and 403 are a matter of rights, what cannot be understood is one of protocol. */
static int exit_status_of(int code, int status)
{
	if (code == ERR_UPSTREAM_ANSWER)
		return EX_PROTOCOL;
	return code == ERR_UPSTREAM_REFUSED && (status == 401 || status == 403) ? EX_NOPERM : error_info(code)->exit_status;
}

static int open_in_viewer(const char *websocket, const char *password)
{
	const char *program = getenv("VNCVIEWER");
	char *argv[64] = { (char *)(uintptr_t)(program && *program ? program : "vncviewer") }, why[VIEWER_WHY_MAX];
	size_t n = 1;
	int rc;

	for (char **argument = options.viewer_arguments; *argument; argument++) {
		if (n + 2 >= sizeof(argv) / sizeof(argv[0]))
			return fail(EX_USAGE, "too many arguments for the viewer");
		argv[n++] = *argument;
	}
	rc = viewer_run(websocket, password, argv, why, sizeof(why));
	return rc < 0 ? fail(exit_status_of(rc, 0), "%s", why) : EX_OK;
}

/* What the settings lack for what is asked for. */
static int check_settings(void)
{
	if (options.vnc && !*backend.websocket)
		return fail(EX_CONFIG, "where is proxxy? Set PROXXY_WEBSOCKET, wss://panel.example.com/console/ws");
	if (!options.vnc && !options.json && !*backend.page)
		return fail(EX_CONFIG, "where are the console pages? Set PROXXY_PAGE, https://panel.example.com/console/; --json needs none");
	return EX_OK;
}

/* Who asks: reads the token, or the password. */
static int prepare_proxmox(struct proxmox *p, char secret[BACKEND_SECRET_MAX])
{
	const bool token = !*backend.user;
	char why[512];

	if (backend_read_secret(token ? backend.token_file : backend.password_file,
				token ? "PROXMOX_TOKEN_FILE" : "PROXMOX_PASSWORD_FILE", secret, why, sizeof(why)) < 0)
		return fail(EX_CONFIG, "%s", why);
	*p = (struct proxmox){ .host = *backend.host ? backend.host : options.node, .ca_file = backend.ca_file };
	if (!token) {
		p->user = backend.user;
		p->password = secret;
		return EX_OK;
	}
	p->token = backend_token(secret, why, sizeof(why));
	return p->token ? EX_OK : fail(EX_CONFIG, "PROXMOX_TOKEN_FILE %s %s", backend.token_file, why);
}

static int hand_out(const struct proxmox_console *console, const char *payload)
{
	static char page[4 * PAYLOAD_MAX], websocket[CLIENT_URL_MAX];
	const bool has_page = *backend.page && !options.vnc;
	int rc = EX_OK;

	if ((has_page && !page_url(console, payload, page, sizeof(page))) ||
	    (*backend.websocket && !websocket_url(payload, websocket, sizeof(websocket))))
		return fail(EX_SOFTWARE, "the URL is too long");
	if (options.vnc)
		rc = open_in_viewer(websocket, console->password);
	else if (options.json)
		print_json(console, payload, page, websocket);
	else
		puts(page);
	OPENSSL_cleanse(page, sizeof(page));
	OPENSSL_cleanse(websocket, sizeof(websocket));
	return rc;
}

static int command_url(void)
{
	static struct proxmox_console console;
	static char payload[PAYLOAD_MAX], secret[BACKEND_SECRET_MAX];
	struct proxmox proxmox;
	struct json_object *details = NULL;
	int rc = check_settings();

	if (rc == EX_OK)
		rc = prepare_proxmox(&proxmox, secret);
	if (rc == EX_OK) {
		/* The page alone may use it; a viewer has no page. */
		if (!options.origin && !options.cbc && !options.vnc && *backend.origin)
			options.origin = backend.origin;
		rc = proxmox_open_console(&proxmox, options.node, options.type, options.vmid,
					  options.xterm ? PROXMOX_TERMINAL : PROXMOX_VNC, &console);
		rc = rc < 0 ? fail(exit_status_of(rc, proxmox.status), "%s", proxmox.why) : EX_OK;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	if (rc == EX_OK) {
		details = details_of(&console, proxmox.host);
		OPENSSL_cleanse(console.ticket, sizeof(console.ticket)); /* the payload has it */
		rc = seal(details, payload);
	}
	strict_json_wipe(details);
	backend_wipe(&backend);
	if (rc == EX_OK)
		rc = hand_out(&console, payload);
	proxmox_wipe(&console);
	OPENSSL_cleanse(payload, sizeof(payload));
	return rc;
}

/* --- seal and open ------------------------------------------------------------------------ */

/* All of standard input, NUL-terminated. */
static int read_input(char *text, size_t size, size_t *ret_len)
{
	*ret_len = fread(text, 1, size, stdin);
	if (ferror(stdin))
		return fail(EX_IOERR, "standard input: %s", strerror(errno));
	if (*ret_len == size)
		return fail(EX_DATAERR, "standard input is longer than %zu bytes", size - 1);
	text[*ret_len] = '\0';
	return EX_OK;
}

static int command_seal(void)
{
	static char text[INPUT_MAX], payload[PAYLOAD_MAX];
	struct json_object *details = NULL;
	size_t len = 0;
	int rc = read_input(text, sizeof(text), &len);

	if (rc == EX_OK) {
		details = strict_json_parse(text, len);
		rc = details ? seal(details, payload) : fail(EX_DATAERR, "standard input is not one JSON object of at most %d bytes", STRICT_JSON_MAX);
	}
	if (rc == EX_OK)
		puts(payload);
	strict_json_wipe(details);
	OPENSSL_cleanse(text, len);
	return rc;
}

static int command_open(void)
{
	static char text[INPUT_MAX] = " "; /* room for the question mark that explain_payload() puts before "payload=" */
	char why[512];
	size_t len = 0;
	int rc = read_input(text + 1, sizeof(text) - 1, &len);

	if (rc != EX_OK)
		return rc;
	rc = explain_payload(text, backend.keys, backend.n_keys, options.json, why, sizeof(why));
	OPENSSL_cleanse(text, sizeof(text));
	if (rc < 0 && *why)
		return fail(rc == ERR_CONFIG ? EX_CONFIG : EX_DATAERR, "%s", why);
	return rc < 0 ? EX_DATAERR : EX_OK;
}

static int command_keygen(void)
{
	const char *name = options.key_name;
	uint8_t key[CRYPTO_KEY_LEN];
	char text[2 * CRYPTO_KEY_LEN + 1];

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return fail(EX_OSERR, "no randomness");
	crypto_hex_encode(text, key, sizeof(key));
	printf("%s%s%s\n", name ? name : "", name ? ":" : "", text);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(text, sizeof(text));
	return EX_OK;
}

static int run(void)
{
	const char *command = options.command;
	char why[512];
	int rc;

	if (command && strcmp(command, "keygen") == 0)
		return command_keygen();
	if (backend_load(&backend, why, sizeof(why)) < 0)
		return fail(EX_CONFIG, "%s", why);
	rc = !command ? command_url() : strcmp(command, "seal") == 0 ? command_seal() : command_open();
	backend_wipe(&backend);
	return rc;
}

int main(int argc, char **argv)
{
	int status;

	harden();
	switch (url_options_parse(&options, argc, argv)) {
	case URL_OPTIONS_HELP:
		status = url_options_usage(stdout);
		break;
	case URL_OPTIONS_VERSION:
		puts("proxxy-url " PROXXY_VERSION);
		status = EX_OK;
		break;
	case URL_OPTIONS_SETTINGS:
		backend_print_file(stdout);
		status = EX_OK;
		break;
	case URL_OPTIONS_COMMAND:
		status = run();
		break;
	default:
		status = fail(EX_USAGE, "%s; see --help", options.why);
	}
	if (fflush(stdout) != 0)
		return fail(EX_IOERR, "standard output: %s", strerror(errno));
	return status;
}
