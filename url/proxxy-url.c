/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-url: does all that a backend must do for a console. Requests a guest's console from
 * Proxmox, seals it as a payload, and prints the URL of the console's page or opens it in a VNC
 * viewer. It also seals and explains payloads, and makes keys. Operators and backends run it.
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
	INPUT_MAX = 64 * 1024,   /* bytes of standard input: a payload or console details */
	PAYLOAD_MAX = 16 * 1024, /* bytes of a payload, with its NUL; a request head has 16 KiB */
	JTI_BYTES = 16,          /* random bytes of a jti, as many as a UUID has */
};

static struct url_options options;
static struct backend backend;

/* Prints an error message on standard error. Replaces all but printable ASCII, because some of the
 * text comes from the network. Returns status. */
static int __attribute__((format(printf, 2, 3))) print_error(int status, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7F)
			*at = '?'; /* terminals also obey control characters above 0x7F */
	fprintf(stderr, "proxxy-url: %s\n", text);
	return status;
}

/* Protects the tickets and keys in this process: no core dumps, and other processes of the user
 * cannot read its memory. */
static void harden(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	signal(SIGPIPE, SIG_IGN); /* write() then returns EPIPE */
}

/* --- sealing ------------------------------------------------------------------------------ */

/* Adds exp and jti, unless details has them already. */
static int add_claims(struct json_object *details)
{
	uint8_t random[JTI_BYTES];
	char jti[2 * JTI_BYTES + 1];

	if (RAND_bytes(random, sizeof(random)) != 1 ||
	    crypto_base64url_encode(random, sizeof(random), jti, sizeof(jti)) < 0)
		return print_error(EX_OSERR, "OpenSSL has no random bytes");
	if (!strict_json_has(details, "exp"))
		strict_json_add_integer(details, "exp", time(NULL) + options.lifetime);
	if (!strict_json_has(details, "jti"))
		strict_json_add_string(details, "jti", jti);
	return EX_OK;
}

/* Checks details as proxxy will, and seals them. Returns 0. Otherwise prints an error and returns
 * an exit status. */
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
	text = json_object_to_json_string_length(details, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
						 &len);
	if (payload_parse(text, len, &console, options.cbc ? NULL : &claims, &why) < 0)
		return print_error(EX_DATAERR, "proxxy would refuse these details: %s", why);
	why = console_ticket_error(&console);
	console_wipe(&console);
	free(claims.ca);
	if (why)
		return print_error(EX_DATAERR, "Proxmox would refuse these details: %s", why);
	rc = options.cbc ? crypto_seal_cbc(key->key, (const uint8_t *)text, len, payload, PAYLOAD_MAX) :
			   jwe_seal(key, (const uint8_t *)text, len, payload, PAYLOAD_MAX);
	return rc < 0 ? print_error(EX_DATAERR, "the details are too long for a URL") : EX_OK;
}

/* --- a console ---------------------------------------------------------------------------- */

/* Adds the CAs that we trust, so that proxxy trusts them for this console. A bundle is too long for
 * a URL. It is omitted, so that proxxy's own settings apply. */
static void add_ca(struct json_object *details)
{
	char pem[CLAIMS_CA_MAX + 1];
	const char *first = NULL; /* text before the first certificate is a comment */

	if (*backend.ca_file && settings_read_file(backend.ca_file, pem, sizeof(pem)) > 0)
		first = strstr(pem, "-----BEGIN CERTIFICATE-----");
	if (first)
		strict_json_add_string(details, "ca", first);
}

/* Returns the payload's contents, which the caller frees with strict_json_wipe(). */
static struct json_object *make_details(const struct proxmox_console *console, const char *host)
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

/* Appends "name=value" to url, with value percent-encoded. Returns false if url is too small. */
static bool append(char *url, size_t size, const char *name, const char *value)
{
	size_t at = strlen(url);
	int n = snprintf(url + at, size - at, "%s=", name);

	return n > 0 && (size_t)n < size - at && uri_percent_encode(value, url + at + n, size - at - (size_t)n) >= 0;
}

/* Writes the page's URL. Its parameters are in the fragment, which browsers do not send to the
 * server. */
static bool write_page_url(const struct proxmox_console *console, const char *payload, char *url, size_t size)
{
	int n = snprintf(url, size, "%s%s", backend.page, options.xterm ? "xterm.html" : "novnc.html");

	if (n <= 0 || (size_t)n >= size || !append(url, size, "#payload", payload))
		return false;
	if (options.xterm &&
	    (!append(url, size, "&user", console->user) || !append(url, size, "&ticket", console->vncticket)))
		return false;
	if (!options.xterm && !append(url, size, "&password", console->password))
		return false;
	return !options.title || append(url, size, "&title", options.title);
}

static bool write_websocket_url(const char *payload, char *url, size_t size)
{
	int n = snprintf(url, size, "%s", backend.websocket);

	return n > 0 && (size_t)n < size && append(url, size, "?payload", payload);
}

static void print_json(const struct proxmox_console *console, const char *payload, const char *page,
		       const char *websocket)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "url", *page ? json_object_new_string(page) : NULL);
	json_object_object_add(object, "websocket", *websocket ? json_object_new_string(websocket) : NULL);
	strict_json_add_string(object, "payload", payload);
	strict_json_add_string(object, "node", options.node);
	strict_json_add_string(object, "type", options.type);
	strict_json_add_integer(object, "vmid", options.vmid);
	strict_json_add_string(object, "user", console->user);
	strict_json_add_string(object, options.xterm ? "ticket" : "password",
			       options.xterm ? console->vncticket : console->password);
	terminal_print_json(object);
	strict_json_wipe(object);
}

/* Maps an error to an exit status. status is that of Proxmox's answer: 401 and 403 mean
 * EX_NOPERM. */
static int exit_status_of(int code, int status)
{
	if (code == ERR_UPSTREAM_ANSWER)
		return EX_PROTOCOL;
	return code == ERR_UPSTREAM_REFUSED && (status == 401 || status == 403) ? EX_NOPERM :
										  error_info(code)->exit_status;
}

static int open_in_viewer(const char *websocket, const char *password)
{
	const char *program = getenv("VNCVIEWER");
	char *argv[64] = { (char *)(uintptr_t)(program && *program ? program : "vncviewer") };
	char why[VIEWER_WHY_MAX];
	size_t n = 1;
	int rc;

	for (char **argument = options.viewer_arguments; *argument; argument++) {
		if (n + 2 >= sizeof(argv) / sizeof(argv[0]))
			return print_error(EX_USAGE, "too many arguments for the viewer");
		argv[n++] = *argument;
	}
	rc = viewer_run(websocket, password, argv, why, sizeof(why));
	return rc < 0 ? print_error(exit_status_of(rc, 0), "%s", why) : EX_OK;
}

/* Checks that the settings which the options need are set. */
static int check_settings(void)
{
	if (options.vnc && !*backend.websocket)
		return print_error(EX_CONFIG, "PROXXY_WEBSOCKET is not set. Set it to the URL of proxxy, such as "
					      "wss://panel.example.com/console/ws");
	if (!options.vnc && !options.json && !*backend.page)
		return print_error(EX_CONFIG, "PROXXY_PAGE is not set. Set it to the URL of the console pages, such as "
					      "https://panel.example.com/console/, or use --json");
	return EX_OK;
}

/* Reads the token or the password to secret, and sets *p, which points into secret. */
static int prepare_proxmox(struct proxmox *p, char secret[BACKEND_SECRET_MAX])
{
	const bool token = !*backend.user;
	char why[512];

	if (backend_read_secret(token ? backend.token_file : backend.password_file,
				token ? "PROXMOX_TOKEN_FILE" : "PROXMOX_PASSWORD_FILE", secret, why, sizeof(why)) < 0)
		return print_error(EX_CONFIG, "%s", why);
	*p = (struct proxmox){ .host = *backend.host ? backend.host : options.node, .ca_file = backend.ca_file };
	if (!token) {
		p->user = backend.user;
		p->password = secret;
		return EX_OK;
	}
	p->token = backend_token(secret, why, sizeof(why));
	return p->token ? EX_OK : print_error(EX_CONFIG, "PROXMOX_TOKEN_FILE %s %s", backend.token_file, why);
}

/* Prints the page's URL or JSON, or opens the console in a viewer. */
static int output_console(const struct proxmox_console *console, const char *payload)
{
	static char page[4 * PAYLOAD_MAX], websocket[CLIENT_URL_MAX];
	const bool has_page = *backend.page && !options.vnc;
	int rc = EX_OK;

	if ((has_page && !write_page_url(console, payload, page, sizeof(page))) ||
	    (*backend.websocket && !write_websocket_url(payload, websocket, sizeof(websocket))))
		return print_error(EX_SOFTWARE, "the URL is too long");
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
		/* By default only our page can use the payload. A viewer sends no Origin. */
		if (!options.origin && !options.cbc && !options.vnc && *backend.origin)
			options.origin = backend.origin;
		rc = proxmox_open_console(&proxmox, options.node, options.type, options.vmid,
					  options.xterm ? PROXMOX_TERMINAL : PROXMOX_VNC, &console);
		rc = rc < 0 ? print_error(exit_status_of(rc, proxmox.status), "%s", proxmox.why) : EX_OK;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	if (rc == EX_OK) {
		details = make_details(&console, proxmox.host);
		OPENSSL_cleanse(console.ticket, sizeof(console.ticket)); /* details has a copy */
		rc = seal(details, payload);
	}
	strict_json_wipe(details);
	backend_wipe(&backend);
	if (rc == EX_OK)
		rc = output_console(&console, payload);
	proxmox_wipe(&console);
	OPENSSL_cleanse(payload, sizeof(payload));
	return rc;
}

/* --- seal and open ------------------------------------------------------------------------ */

/* Reads all of standard input to text, NUL-terminated. */
static int read_input(char *text, size_t size, size_t *ret_len)
{
	*ret_len = fread(text, 1, size, stdin);
	if (ferror(stdin))
		return print_error(EX_IOERR, "standard input: %s", strerror(errno));
	if (*ret_len == size)
		return print_error(EX_DATAERR, "standard input is longer than %zu bytes", size - 1);
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
		rc = details ? seal(details, payload) :
			       print_error(EX_DATAERR, "standard input is not one JSON object of at most %d bytes",
					   STRICT_JSON_MAX);
	}
	if (rc == EX_OK)
		puts(payload);
	strict_json_wipe(details);
	OPENSSL_cleanse(text, len);
	return rc;
}

static int command_open(void)
{
	static char text[INPUT_MAX] = " "; /* explain_payload() needs a space at the beginning */
	char why[512];
	size_t len = 0;
	int rc = read_input(text + 1, sizeof(text) - 1, &len);

	if (rc != EX_OK)
		return rc;
	rc = explain_payload(text, backend.keys, backend.n_keys, options.json, why, sizeof(why));
	OPENSSL_cleanse(text, sizeof(text));
	if (rc < 0 && *why)
		return print_error(rc == ERR_CONFIG ? EX_CONFIG : EX_DATAERR, "%s", why);
	return rc < 0 ? EX_DATAERR : EX_OK;
}

static int command_keygen(void)
{
	const char *name = options.key_name;
	uint8_t key[CRYPTO_KEY_LEN];
	char text[2 * CRYPTO_KEY_LEN + 1];

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return print_error(EX_OSERR, "OpenSSL has no random bytes");
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
		return print_error(EX_CONFIG, "%s", why);
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
		status = print_error(EX_USAGE, "%s; see --help", options.why);
	}
	if (fflush(stdout) != 0)
		return print_error(EX_IOERR, "standard output: %s", strerror(errno));
	return status;
}
