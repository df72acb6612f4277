/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-url: the backend's side in one call. Asks Proxmox for a guest's console, seals what it answers, and prints
 * the URL of the console's page; or opens it in a native viewer. Also seals and explains payloads, and makes keys.
 */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "access.h"
#include "backend.h"
#include "config.h"
#include "error.h"
#include "host.h"
#include "jwe.h"
#include "proxmox.h"
#include "strict_json.h"
#include "uri.h"
#include "viewer.h"

enum {
	INPUT_MAX = 64 * 1024,      /* bytes of standard input: a payload, or details */
	PAYLOAD_MAX = 16 * 1024,    /* bytes of a payload, with its NUL; proxxy takes no head over 16 KiB */
	LIFETIME_DEFAULT = 60,      /* seconds; Proxmox itself gives a console 10 */
	LIFETIME_MAX = 24 * 60 * 60, /* seconds; PROXXY_PAYLOAD_LIFETIME's largest */
	TITLE_MAX = 200,            /* bytes of a page's title */
	JTI_BYTES = 16,             /* as random as a UUID */
	API_PORT = 8006,
};

struct options {
	const char *node, *type, *origin, *client, *title;
	uint32_t vmid;
	int lifetime, session_max; /* seconds */
	bool xterm, vnc, json, cbc;
	char **viewer_arguments;
};

static struct options options = { .type = "qemu", .lifetime = LIFETIME_DEFAULT };
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
		if ((unsigned char)*at < ' ' || *at == 0x7F)
			*at = '?';
	fprintf(stderr, "proxxy-url: %s\n", text);
	return status;
}

/* Tickets and keys go through here: no core dumps, and nobody else reads this process. */
static void harden(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
}

/* --- sealing ------------------------------------------------------------------------------ */

static bool add_string(struct json_object *object, const char *name, const char *value)
{
	return json_object_object_add(object, name, json_object_new_string(value)) == 0;
}

static bool add_number(struct json_object *object, const char *name, int64_t value)
{
	return json_object_object_add(object, name, json_object_new_int64(value)) == 0;
}

/* Claims that every JWE of ours has, unless it has them already. */
static int add_claims(struct json_object *details)
{
	uint8_t random[JTI_BYTES];
	char jti[2 * JTI_BYTES + 1];

	if (RAND_bytes(random, sizeof(random)) != 1 || crypto_base64url_encode(random, sizeof(random), jti, sizeof(jti)) < 0)
		return fail(EX_OSERR, "no randomness");
	if (!strict_json_has(details, "exp"))
		add_number(details, "exp", time(NULL) + options.lifetime);
	if (!strict_json_has(details, "jti"))
		add_string(details, "jti", jti);
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
		return fail(EX_DATAERR, "proxxy would not take these details: %s", why);
	console_wipe(&console);
	free(claims.ca);
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

	if (*backend.ca_file && settings_read_file(backend.ca_file, pem, sizeof(pem)) > 0 && strstr(pem, "-----BEGIN CERTIFICATE-----"))
		add_string(details, "ca", pem);
}

static struct json_object *details_of(const struct proxmox_console *console, const char *host)
{
	struct json_object *details = json_object_new_object();

	add_number(details, "vmid", options.vmid);
	add_string(details, "type", options.type);
	add_string(details, "host", host);
	add_string(details, "node", options.node);
	add_string(details, "ticket", console->ticket);
	add_string(details, "vncticket", console->vncticket);
	add_string(details, "port", console->port);
	if (options.cbc)
		return details;
	add_ca(details);
	if (options.origin && *options.origin)
		add_string(details, "origin", options.origin);
	if (options.client)
		add_string(details, "client", options.client);
	if (options.session_max)
		add_number(details, "session_max", options.session_max);
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
	add_string(object, "payload", payload);
	add_string(object, "node", options.node);
	add_string(object, "type", options.type);
	add_number(object, "vmid", options.vmid);
	add_string(object, "user", console->user);
	add_string(object, options.xterm ? "ticket" : "password", options.xterm ? console->vncticket : console->password);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	strict_json_wipe(object);
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
	return rc < 0 ? fail(error_info(rc)->exit_status, "%s", why) : EX_OK;
}

/* What the settings and options lack for what is asked for. */
static int check_options(void)
{
	if (options.vmid == 0)
		return fail(EX_USAGE, "which guest? --vmid is missing; see --help");
	if (!options.node)
		return fail(EX_USAGE, "on which node? --node is missing; see --help");
	if (options.vnc && options.xterm)
		return fail(EX_USAGE, "--vnc and --xterm exclude each other: a terminal has no VNC");
	if (options.cbc && (options.origin || options.client || options.session_max))
		return fail(EX_USAGE, "--origin, --client and --session-max need a JWE: the old format cannot say them");
	if (!host_is_name(options.node, strlen(options.node)))
		return fail(EX_USAGE, "--node is not a node's name");
	if (options.origin && *options.origin && !host_origins_valid(options.origin))
		return fail(EX_USAGE, "--origin is not an origin, like https://panel.example.com");
	if (options.client && !host_is_network(options.client))
		return fail(EX_USAGE, "--client is not an address or network");
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
	*p = (struct proxmox){ .host = *backend.host ? backend.host : options.node, .port = API_PORT, .ca_file = backend.ca_file };
	if (!token) {
		p->user = backend.user;
		p->password = secret;
		return EX_OK;
	}
	p->token = secret + (strncmp(secret, "PVEAPIToken=", strlen("PVEAPIToken=")) == 0 ? strlen("PVEAPIToken=") : 0);
	if (!strchr(p->token, '@') || !strchr(p->token, '!') || !strchr(p->token, '='))
		return fail(EX_CONFIG, "PROXMOX_TOKEN_FILE %s does not hold USER@REALM!NAME=SECRET", backend.token_file);
	return EX_OK;
}

/* Proxmox's refusals by what they are: 401 and 403 are a matter of rights. */
static int exit_status_of(int code, const char *why)
{
	return code == ERR_UPSTREAM_REFUSED && (strstr(why, ": 401") || strstr(why, ": 403")) ? EX_NOPERM : error_info(code)->exit_status;
}

static int hand_out(const struct proxmox_console *console, const char *payload)
{
	static char page[4 * PAYLOAD_MAX], websocket[VIEWER_TARGET_MAX];
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
	int rc = check_options();

	if (rc == EX_OK)
		rc = prepare_proxmox(&proxmox, secret);
	if (rc == EX_OK) {
		/* The page alone may use it; a viewer has no page. */
		if (!options.origin && !options.cbc && !options.vnc && *backend.origin)
			options.origin = backend.origin;
		rc = proxmox_open_console(&proxmox, options.node, options.type, options.vmid,
					  options.xterm ? PROXMOX_TERMINAL : PROXMOX_VNC, &console);
		rc = rc < 0 ? fail(exit_status_of(rc, proxmox.why), "%s", proxmox.why) : EX_OK;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	if (rc == EX_OK) {
		details = details_of(&console, proxmox.host);
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

/* The payload in text: all of it, or the parameter of a URL. Returns its length, or -1. */
static int find_payload(char *text, char *payload, size_t size)
{
	const char *parameter = strstr(text, "payload=");
	size_t len;

	text += strspn(text, " \t\r\n");
	text[strcspn(text, " \t\r\n")] = '\0';
	if (!parameter) {
		len = strlen(text);
		if (len == 0 || len >= size)
			return -1;
		memcpy(payload, text, len + 1);
		return (int)len;
	}
	/* As the query's first parameter, wherever in the URL it was. */
	if (parameter == text)
		return -1; /* there is no room for the question mark: nothing that we print */
	text = (char *)(uintptr_t)parameter - 1;
	*text = '?';
	return uri_query((struct slice){ text, strcspn(text, "#") }, "payload", payload, size);
}

static void print_time(const char *name, int64_t when)
{
	const time_t seconds = when;
	const long long left = (long long)(when - time(NULL));
	struct tm utc;
	char text[64] = "?";

	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	printf("%-11s %s, %lld s %s\n", name, text, left < 0 ? -left : left, left < 0 ? "ago" : "ahead");
}

/* A ticket's identity without what makes it a secret. */
static void print_ticket(const char *name, const char *ticket)
{
	const char *token = strncmp(ticket, "PVEAPIToken=", strlen("PVEAPIToken=")) == 0 ? strrchr(ticket, '=') : NULL;
	const bool cookie = strncmp(ticket, "PVE:", strlen("PVE:")) == 0;
	const size_t shown = token ? (size_t)(token - ticket) + 1 : cookie ? 4 + strcspn(ticket + 4, ":") : 0;

	printf("%-11s %.*s… (%zu bytes)\n", name, (int)shown, ticket, strlen(ticket));
}

/* For people: nothing in it opens a console. */
static void explain(const struct access *a, const char *verdict)
{
	const struct console *c = &a->console;
	const bool ipv6 = strchr(c->host, ':');

	printf("%-11s %s%s%s\n", "format", a->format, *a->kid ? ", key " : "", a->kid);
	if (c->vmid != 0) {
		printf("%-11s %s %u on node %s, console port %u\n", "guest", c->type, c->vmid, c->node, c->vnc_port);
		printf("%-11s %s%s%s:%u\n", "host", ipv6 ? "[" : "", c->host, ipv6 ? "]" : "", c->host_port ? c->host_port : API_PORT);
		print_ticket("ticket", c->ticket);
		print_ticket("vncticket", c->vncticket);
	}
	if (a->authenticated && c->vmid != 0) {
		print_time("exp", a->claims.expires);
		if (a->claims.not_before)
			print_time("nbf", a->claims.not_before);
		printf("%-11s %s\n", "jti", *a->claims.jti ? a->claims.jti : "none: it can be used again until exp");
		printf("%-11s %s\n", "origin", *a->claims.origin ? a->claims.origin : "any");
		printf("%-11s %s\n", "client", *a->claims.client ? a->claims.client : "any");
		if (a->claims.session_max)
			printf("%-11s %d s\n", "session_max", a->claims.session_max);
		printf("%-11s %s\n", "trust", a->claims.has_fingerprint ? "the certificate with the payload's fingerprint" :
			       a->claims.ca ? "the payload's CA" : "proxxy's settings");
	}
	printf("%-11s %s\n", "verdict", verdict);
}

/* For programs: all of it, secrets too. */
static void explain_json(const struct access *a, const char *verdict, bool accepted)
{
	struct json_object *object = json_object_new_object();
	const struct console *c = &a->console;

	add_string(object, "format", a->format);
	if (*a->kid)
		add_string(object, "kid", a->kid);
	json_object_object_add(object, "accepted", json_object_new_boolean(accepted));
	add_string(object, "verdict", verdict);
	if (c->vmid != 0) {
		char host[CONSOLE_HOST_MAX + 16];
		const bool ipv6 = strchr(c->host, ':');

		snprintf(host, sizeof(host), ipv6 ? "[%s]:%u" : "%s:%u", c->host, c->host_port ? c->host_port : API_PORT);
		add_number(object, "vmid", c->vmid);
		add_string(object, "type", c->type);
		add_string(object, "host", host);
		add_string(object, "node", c->node);
		add_string(object, "ticket", c->ticket);
		add_string(object, "vncticket", c->vncticket);
		add_number(object, "port", c->vnc_port);
	}
	if (a->authenticated && c->vmid != 0) {
		add_number(object, "exp", a->claims.expires);
		if (a->claims.not_before)
			add_number(object, "nbf", a->claims.not_before);
		if (*a->claims.jti)
			add_string(object, "jti", a->claims.jti);
		if (*a->claims.origin)
			add_string(object, "origin", a->claims.origin);
		if (*a->claims.client)
			add_string(object, "client", a->claims.client);
		if (a->claims.session_max)
			add_number(object, "session_max", a->claims.session_max);
		if (a->claims.ca)
			add_string(object, "ca", a->claims.ca);
	}
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	strict_json_wipe(object);
}

/* Whether proxxy would take it now from whoever it is for; what only proxxy knows, whether it was used, aside. */
static int judge(const struct access *a, const struct config *config, char *verdict, size_t size)
{
	struct access anyone = *a;
	int rc;

	anyone.claims.origin[0] = anyone.claims.client[0] = '\0';
	rc = access_check(&anyone, config, time(NULL), (struct slice){ NULL, 0 }, "");
	snprintf(verdict, size, rc == OK ? "proxxy takes it now%s%s" : "proxxy refuses it: %s%s%s", rc == OK ? "" : error_info(rc)->words,
		 rc == OK || !*anyone.why ? "" : ": ", rc == OK ? "" : anyone.why);
	OPENSSL_cleanse(&anyone, sizeof(anyone));
	return rc;
}

static int command_open(void)
{
	static char text[INPUT_MAX], payload[PAYLOAD_MAX];
	static struct config config;
	static struct access access;
	char verdict[256], why[512];
	size_t len = 0;
	int rc = read_input(text, sizeof(text), &len), n;

	if (rc != EX_OK)
		return rc;
	n = find_payload(text, payload, sizeof(payload));
	OPENSSL_cleanse(text, len);
	if (n <= 0)
		return fail(EX_DATAERR, "standard input holds no payload of at most %d bytes", PAYLOAD_MAX - 1);
	if (config_load_settings(&config, why, sizeof(why)) < 0)
		return fail(EX_CONFIG, "%s", why);
	memcpy(config.keys, backend.keys, sizeof(config.keys));
	config.n_keys = backend.n_keys;
	rc = access_open(&access, &config, payload, (size_t)n);
	if (rc == OK)
		rc = judge(&access, &config, verdict, sizeof(verdict));
	else
		snprintf(verdict, sizeof(verdict), "proxxy refuses it: %s: %s", error_info(rc)->words, access.why);
	config_wipe_keys(&config);
	if (!access.format)
		access.format = "unknown";
	if (options.json)
		explain_json(&access, verdict, rc == OK);
	else
		explain(&access, verdict);
	access_wipe(&access);
	return rc == OK ? EX_OK : EX_DATAERR;
}

static int command_keygen(const char *name)
{
	uint8_t key[CRYPTO_KEY_LEN];

	if (name && !keys_name_valid(name, strlen(name)))
		return fail(EX_USAGE, "a key's name is 1 to %d letters, digits, '-', '_' or '.'", KEY_NAME_MAX);
	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return fail(EX_OSERR, "no randomness");
	printf("%s%s", name ? name : "", name ? ":" : "");
	for (size_t i = 0; i < sizeof(key); i++)
		printf("%02x", key[i]);
	OPENSSL_cleanse(key, sizeof(key));
	return puts("") < 0;
}

/* --- command line ------------------------------------------------------------------------- */

static int usage(FILE *out)
{
	fputs("Usage: proxxy-url --node NODE --vmid VMID [option…] [-- viewer's argument…]\n"
	      "       proxxy-url seal [--format jwe|cbc] [--lifetime SECONDS] < details.json\n"
	      "       proxxy-url open [--json] < payload or URL\n"
	      "       proxxy-url keygen [NAME]\n"
	      "Asks Proxmox for a guest's console and prints the URL of its page. Open it at once: Proxmox\n"
	      "waits 10 s. \"seal\" and \"open\" make and explain a payload, \"keygen\" makes a key.\n"
	      "\n"
	      "  --type qemu|lxc        a VM (the default) or a container\n"
	      "  --xterm                its terminal, in place of VNC\n"
	      "  --vnc                  no page: opens the console here, in vncviewer or $VNCVIEWER\n"
	      "  --json                 prints every part, as JSON\n"
	      "  --format jwe|cbc       the payload's: JWE (the default), or the old one\n"
	      "  --lifetime SECONDS     how long the URL is good for: 60\n"
	      "  --session-max SECONDS  how long the console may last\n"
	      "  --origin ORIGIN        the only origin that may open it: that of PROXXY_PAGE; '' for any\n"
	      "  --client ADDRESS       the only address or network that may\n"
	      "  --title TEXT           what the page is called\n"
	      "  --settings             prints a commented file with every setting\n"
	      "  --help, --version\n"
	      "\n"
	      "Settings, from the environment or the file that PROXXY_URL_CONFIG names\n"
	      "(/etc/proxxy/proxxy-url.conf):\n", out);
	backend_print_help(out);
	fputs("\nManuals: proxxy-url(1), proxxy-payload(7)\n", out);
	return out == stdout ? EX_OK : EX_USAGE;
}

/* A whole number from 1 to max in decimal, or 0. */
static int parse_number(const char *text, int max)
{
	const size_t digits = strspn(text, "0123456789");
	long number = digits > 0 && digits <= 9 && text[digits] == '\0' ? strtol(text, NULL, 10) : 0;

	return number >= 1 && number <= max ? (int)number : 0;
}

enum { NODE = 256, VMID, TYPE, XTERM, VNC, JSON, FORMAT, LIFETIME, SESSION_MAX, ORIGIN, CLIENT, TITLE, SETTINGS, HELP, VERSION };

static const struct option long_options[] = {
	{ "node", required_argument, NULL, NODE },
	{ "vmid", required_argument, NULL, VMID },
	{ "type", required_argument, NULL, TYPE },
	{ "xterm", no_argument, NULL, XTERM },
	{ "vnc", no_argument, NULL, VNC },
	{ "json", no_argument, NULL, JSON },
	{ "format", required_argument, NULL, FORMAT },
	{ "lifetime", required_argument, NULL, LIFETIME },
	{ "session-max", required_argument, NULL, SESSION_MAX },
	{ "origin", required_argument, NULL, ORIGIN },
	{ "client", required_argument, NULL, CLIENT },
	{ "title", required_argument, NULL, TITLE },
	{ "settings", no_argument, NULL, SETTINGS },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

/* Takes one option. Returns false for a value that is none, having said so. */
static bool take_option(int option, const char *value)
{
	switch (option) {
	case NODE:
		options.node = value;
		return true;
	case VMID:
		options.vmid = (uint32_t)parse_number(value, CONSOLE_VMID_MAX);
		return options.vmid != 0 || fail(0, "--vmid is a number from 1 to %d", CONSOLE_VMID_MAX);
	case TYPE:
		options.type = strcmp(value, "qemu") == 0 ? "qemu" : strcmp(value, "lxc") == 0 ? "lxc" : NULL;
		return options.type || fail(0, "--type is qemu or lxc");
	case XTERM:
		options.xterm = true;
		return true;
	case VNC:
		options.vnc = true;
		return true;
	case JSON:
		options.json = true;
		return true;
	case FORMAT:
		options.cbc = strcmp(value, "cbc") == 0;
		return options.cbc || strcmp(value, "jwe") == 0 || fail(0, "--format is jwe or cbc");
	case LIFETIME:
		options.lifetime = parse_number(value, LIFETIME_MAX);
		return options.lifetime != 0 || fail(0, "--lifetime is seconds from 1 to %d", LIFETIME_MAX);
	case SESSION_MAX:
		options.session_max = parse_number(value, CLAIMS_SESSION_MAX);
		return options.session_max != 0 || fail(0, "--session-max is seconds from 1 to %d", CLAIMS_SESSION_MAX);
	case ORIGIN:
		options.origin = value;
		return true;
	case CLIENT:
		options.client = value;
		return true;
	case TITLE:
		options.title = value;
		return strlen(value) <= TITLE_MAX || fail(0, "--title has more than %d bytes", TITLE_MAX);
	default:
		return fail(0, "see --help"); /* getopt has said what is wrong */
	}
}

static int run(const char *command, const char *argument)
{
	char why[512];
	int rc;

	if (command && (options.node || options.vmid || options.vnc || options.xterm))
		return fail(EX_USAGE, "%s asks no Proxmox: --node, --vmid, --vnc and --xterm do not go with it", command);
	if (command && strcmp(command, "keygen") == 0)
		return command_keygen(argument);
	if (argument || (command && strcmp(command, "seal") != 0 && strcmp(command, "open") != 0))
		return fail(EX_USAGE, "%s: no such command; see --help", argument ? argument : command);
	if (backend_load(&backend, why, sizeof(why)) < 0)
		return fail(EX_CONFIG, "%s", why);
	rc = !command ? command_url() : strcmp(command, "seal") == 0 ? command_seal() : command_open();
	backend_wipe(&backend);
	return rc;
}

int main(int argc, char **argv)
{
	const char *command, *argument;
	int own = 1, option, status;

	harden();
	while (own < argc && strcmp(argv[own], "--") != 0)
		own++;
	options.viewer_arguments = argv + (own < argc ? own + 1 : argc);
	while ((option = getopt_long(own, argv, "", long_options, NULL)) != -1) {
		if (option == HELP)
			return usage(stdout);
		if (option == VERSION)
			return puts("proxxy-url " PROXXY_VERSION) < 0;
		if (option == SETTINGS) {
			backend_print_file(stdout);
			return EX_OK;
		}
		if (!take_option(option, optarg))
			return EX_USAGE;
	}
	command = optind < own ? argv[optind] : NULL;
	argument = optind + 1 < own ? argv[optind + 1] : NULL;
	status = optind + 2 < own ? fail(EX_USAGE, "%s: too many words; see --help", argv[optind + 2]) : run(command, argument);
	if (fflush(stdout) != 0)
		return fail(EX_IOERR, "standard output: %s", strerror(errno));
	return status;
}
