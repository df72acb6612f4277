/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-url: does all that a backend must do for a console. Makes a link to a guest's console, and
 * prints it or opens it in a browser or VNC viewer. It also requests consoles from Proxmox itself,
 * seals and explains payloads, and makes keys. Operators and backends run it.
 */
#include <errno.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "lib/command.h"
#include "lib/error.h"
#include "lib/strict_json.h"
#include "url/backend.h"
#include "url/explain.h"
#include "url/link.h"
#include "url/options.h"
#include "url/output.h"
#include "url/proxmox.h"
#include "url/seal.h"

enum {
	INPUT_MAX = 64 * 1024, /* bytes of standard input: a payload or console details */
};

static struct url_options options;
static struct backend backend;

/* Prints an error message. Returns status. */
static int __attribute__((format(printf, 2, 3))) print_error(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	command_print_error("proxxy-url", format, args);
	va_end(args);
	return status;
}

/* Seals details with the first key. Returns 0. Otherwise prints an error and returns an exit
 * status. */
static int seal(struct json_object *details, int lifetime, char payload[SEAL_PAYLOAD_MAX])
{
	const struct seal_options o = { .cbc = options.cbc, .once = options.once, .lifetime = lifetime };
	char why[256];
	int rc = seal_details(details, &o, &backend.keys[0], payload, why, sizeof(why));

	return rc < 0 ? print_error(error_info(rc)->exit_status, "%s", why) : EX_OK;
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

/* Maps an error to an exit status. status is that of Proxmox's answer: 401 and 403 mean
 * EX_NOPERM. */
static int exit_status_of(int code, int status)
{
	if (code == ERR_UPSTREAM_ANSWER)
		return EX_PROTOCOL;
	return code == ERR_UPSTREAM_REFUSED && (status == 401 || status == 403) ? EX_NOPERM :
										  error_info(code)->exit_status;
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
		return print_error(EX_CONFIG,
				   "%s. Leave out --ask and --node: then proxxy asks Proxmox, with its own token", why);
	*p = (struct proxmox){ .host = *backend.host ? backend.host : options.node, .ca_file = backend.ca_file };
	if (!token) {
		p->user = backend.user;
		p->password = secret;
		return EX_OK;
	}
	p->token = backend_token(secret, why, sizeof(why));
	return p->token ? EX_OK : print_error(EX_CONFIG, "PROXMOX_TOKEN_FILE %s %s", backend.token_file, why);
}

/* Makes the payload of a console that Proxmox has opened: its details, sealed. */
static int seal_console(const struct proxmox_console *console, const char *host, struct json_object **ret_details,
			char payload[SEAL_PAYLOAD_MAX])
{
	struct json_object *details = json_object_new_object();

	strict_json_add_integer(details, "vmid", options.vmid);
	strict_json_add_string(details, "type", options.type);
	strict_json_add_string(details, "host", host);
	strict_json_add_string(details, "node", options.node);
	strict_json_add_string(details, "ticket", console->ticket);
	strict_json_add_string(details, "vncticket", console->vncticket);
	strict_json_add_string(details, "port", console->port);
	if (!options.cbc) {
		add_ca(details);
		link_add_claims(details, &options);
	}
	*ret_details = details;
	return seal(details, options.lifetime, payload);
}

/* Prints or opens the payload. */
static int output(struct json_object *details, const struct proxmox_console *console, const char *payload)
{
	char why[OUTPUT_WHY_MAX];
	int rc = output_payload(&options, &backend, details, console, payload, why, sizeof(why));

	return rc < 0 ? print_error(exit_status_of(rc, 0), "%s", why) : EX_OK;
}

/* Requests the console from Proxmox. */
static int command_ask(void)
{
	static struct proxmox_console console;
	static char payload[SEAL_PAYLOAD_MAX], secret[BACKEND_SECRET_MAX];
	struct proxmox proxmox;
	struct json_object *details = NULL;
	int rc = prepare_proxmox(&proxmox, secret);

	if (rc == EX_OK) {
		rc = proxmox_open_console(&proxmox, options.node, options.type, options.vmid,
					  options.terminal ? PROXMOX_TERMINAL : PROXMOX_VNC, &console);
		rc = rc < 0 ? print_error(exit_status_of(rc, proxmox.status), "%s", proxmox.why) : EX_OK;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	if (rc == EX_OK) {
		rc = seal_console(&console, proxmox.host, &details, payload);
		OPENSSL_cleanse(console.ticket, sizeof(console.ticket)); /* details has a copy */
	}
	backend_wipe(&backend);
	if (rc == EX_OK)
		rc = output(details, &console, payload);
	strict_json_wipe(details);
	proxmox_wipe(&console);
	OPENSSL_cleanse(payload, sizeof(payload));
	return rc;
}

/* Makes a link: proxxy requests the console when the link is used. */
static int command_link(void)
{
	static char payload[SEAL_PAYLOAD_MAX];
	struct json_object *details = NULL;
	char why[LINK_WHY_MAX];
	int lifetime, rc = link_details(&options, &backend, &details, &lifetime, why, sizeof(why));

	if (rc < 0)
		return print_error(EX_CONFIG, "%s", why);
	if (*why)
		print_error(EX_OK, "warning: %s", why);
	rc = seal(details, lifetime, payload);
	backend_wipe(&backend);
	if (rc == EX_OK)
		rc = output(details, NULL, payload);
	strict_json_wipe(details);
	OPENSSL_cleanse(payload, sizeof(payload));
	return rc;
}

static int command_url(void)
{
	int rc = check_settings();

	if (rc != EX_OK)
		return rc;
	/* By default only our page can use the payload. A viewer sends no Origin. */
	if (!options.origin && !options.cbc && !options.vnc && *backend.origin)
		options.origin = backend.origin;
	return options.ask ? command_ask() : command_link();
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
	static char text[INPUT_MAX], payload[SEAL_PAYLOAD_MAX];
	struct json_object *details = NULL;
	size_t len = 0;
	int rc = read_input(text, sizeof(text), &len);

	if (rc == EX_OK) {
		details = strict_json_parse(text, len);
		rc = details ? seal(details, options.lifetime, payload) :
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

	command_harden();
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
