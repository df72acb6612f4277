/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses and checks proxxy-url's command line, and prints its help.
 */
#include "url/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/host.h"
#include "lib/payload.h"
#include "url/backend.h"

int url_options_usage(FILE *out)
{
	fputs("Usage: proxxy-url --node NODE --vmid VMID [option…] [-- viewer argument…]\n"
	      "       proxxy-url seal [--format jwe|cbc] [--lifetime SECONDS] < details.json\n"
	      "       proxxy-url open [--json] < payload or URL\n"
	      "       proxxy-url keygen [NAME]\n"
	      "Requests a guest's console from Proxmox, and prints the URL of its page. Open it at once: Proxmox\n"
	      "waits 10 s. \"seal\" makes a payload, \"open\" prints and checks one, \"keygen\" makes a key.\n"
	      "\n"
	      "  --type qemu|lxc        a VM (the default) or a container\n"
	      "  --xterm                the guest's terminal instead of its VNC screen\n"
	      "  --vnc                  open the console in vncviewer or $VNCVIEWER; print no URL\n"
	      "  --json                 print all parts as JSON\n"
	      "  --format jwe|cbc       payload format: JWE (the default), or cbc, the older one\n"
	      "  --lifetime SECONDS     how long the URL is valid (default: 60); proxxy accepts 300 by default\n"
	      "  --session-max SECONDS  how long the console may stay open\n"
	      "  --origin ORIGIN        the only web origin that may open it (default: PROXXY_PAGE's; '': any)\n"
	      "  --client ADDRESS       the only client address or network; leave it out behind an HTTPS proxy\n"
	      "  --title TEXT           title of the page\n"
	      "  --settings             print a commented file with every setting\n"
	      "  --help, --version\n"
	      "\n"
	      "Settings are read from the environment, from /etc/proxxy/proxxy-url.conf (or the file that\n"
	      "PROXXY_URL_CONFIG names) and from proxxy-url.conf.d/*.conf beside it:\n",
	      out);
	backend_print_help(out);
	fputs("\nManuals: proxxy-url(1), proxxy-payload(7)\n", out);
	return EX_OK;
}

/* Sets o->why. Returns false. */
static bool __attribute__((format(printf, 2, 3))) reject(struct url_options *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(o->why, sizeof(o->why), format, args);
	va_end(args);
	return false;
}

/* Parses a decimal number from 1 to max. Returns 0 for any other text. */
static int parse_number(const char *text, int max)
{
	const size_t digits = strspn(text, "0123456789");
	long number = digits > 0 && digits <= 9 && text[digits] == '\0' ? strtol(text, NULL, 10) : 0;

	return number >= 1 && number <= max ? (int)number : 0;
}

enum {
	WORD = 1, /* getopt's value for an argument that is no option */
	NODE = 256,
	VMID,
	TYPE,
	XTERM,
	VNC,
	JSON,
	FORMAT,
	LIFETIME,
	SESSION_MAX,
	ORIGIN,
	CLIENT,
	TITLE,
	SETTINGS,
	HELP,
	VERSION,
};

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

/* Stores one option. Returns false for an invalid value. */
static bool take_option(struct url_options *o, int option, const char *value)
{
	switch (option) {
	case NODE:
		o->node = value;
		return true;
	case VMID:
		o->vmid = (uint32_t)parse_number(value, CONSOLE_VMID_MAX);
		return o->vmid != 0 || reject(o, "--vmid must be a number from 1 to %d", CONSOLE_VMID_MAX);
	case TYPE:
		o->type = strcmp(value, "qemu") == 0 ? "qemu" : strcmp(value, "lxc") == 0 ? "lxc" : NULL;
		return o->type || reject(o, "--type must be qemu or lxc");
	case XTERM:
		o->xterm = true;
		return true;
	case VNC:
		o->vnc = true;
		return true;
	case JSON:
		o->json = true;
		return true;
	case FORMAT:
		o->cbc = strcmp(value, "cbc") == 0;
		o->jwe = strcmp(value, "jwe") == 0;
		return o->cbc || o->jwe || reject(o, "--format must be jwe or cbc");
	case LIFETIME:
		o->lifetime = parse_number(value, URL_LIFETIME_MAX);
		return o->lifetime != 0 ||
		       reject(o, "--lifetime must be a number of seconds from 1 to %d", URL_LIFETIME_MAX);
	case SESSION_MAX:
		o->session_max = parse_number(value, CLAIMS_SESSION_MAX);
		return o->session_max != 0 ||
		       reject(o, "--session-max must be a number of seconds from 1 to %d", CLAIMS_SESSION_MAX);
	case ORIGIN:
		o->origin = value;
		return true;
	case CLIENT:
		o->client = value;
		return true;
	case TITLE:
		o->title = value;
		return strlen(value) <= URL_TITLE_MAX || reject(o, "--title has more than %d bytes", URL_TITLE_MAX);
	default:
		return false;
	}
}

enum { WORDS_MAX = 3 }; /* one more than is valid, for the error message */

/* Stores the arguments that are no options: a command, and keygen's name. */
static bool take_words(struct url_options *o, char **words, int n)
{
	const char *command = n > 0 ? words[0] : NULL;
	const bool keygen = command && strcmp(command, "keygen") == 0;

	if (command && !keygen && strcmp(command, "seal") != 0 && strcmp(command, "open") != 0)
		return reject(o, "%.40s: no such command", command);
	if (n > 1 + keygen)
		return reject(o, "%.40s: unexpected argument", words[1 + keygen]);
	o->command = command;
	o->key_name = keygen && n > 1 ? words[1] : NULL;
	if (o->key_name && !keys_name_valid(o->key_name, strlen(o->key_name)))
		return reject(o, "a key's name must be 1 to %d letters, digits, '-', '_' or '.'", KEY_NAME_MAX);
	return true;
}

/* Checks the options of a command. */
static bool check_command(struct url_options *o)
{
	const bool seal = strcmp(o->command, "seal") == 0, open = strcmp(o->command, "open") == 0;

	if (*o->viewer_arguments || o->node || o->vmid || o->type || o->vnc || o->xterm || o->origin || o->client ||
	    o->session_max || o->title || (!seal && (o->jwe || o->cbc || o->lifetime)) || (!open && o->json))
		return reject(o, "%s accepts %s", o->command,
			      seal ? "only --format and --lifetime" :
			      open ? "only --json" :
				     "no options");
	return !(o->cbc && o->lifetime) || reject(o, "--lifetime needs --format jwe: a cbc payload has no claims");
}

/* Checks the options of a console. */
static bool check_console(struct url_options *o)
{
	if (o->vmid == 0)
		return reject(o, "--vmid is missing");
	if (!o->node)
		return reject(o, "--node is missing");
	if (!o->vnc && *o->viewer_arguments)
		return reject(o, "arguments after -- are for the viewer, but --vnc is missing");
	if (o->vnc && o->xterm)
		return reject(o, "--vnc and --xterm cannot be combined: a terminal does not use VNC");
	if (o->vnc && o->origin && *o->origin)
		return reject(o, "--vnc and --origin cannot be combined: a viewer sends no Origin");
	if (o->cbc && (o->origin || o->client || o->session_max || o->lifetime))
		return reject(o, "--lifetime, --origin, --client and --session-max need --format jwe: "
				 "a cbc payload has no claims");
	if (!host_is_name(o->node, strlen(o->node)))
		return reject(o, "--node is not a valid node name");
	if (o->origin && *o->origin && (strpbrk(o->origin, ",* \t") || !host_origins_valid(o->origin)))
		return reject(o, "--origin is not an origin, like https://panel.example.com");
	if (o->client && !host_is_network(o->client))
		return reject(o, "--client is not an IP address or network");
	return true;
}

enum url_options_result url_options_parse(struct url_options *ret, int argc, char **argv)
{
	char *words[WORDS_MAX + 1];
	int own = 1, n = 0, option;

	*ret = (struct url_options){ 0 };
	while (own < argc && strcmp(argv[own], "--") != 0)
		own++;
	ret->viewer_arguments = argv + (own < argc ? own + 1 : argc);
	opterr = 0;
	while ((option = getopt_long(own, argv, "-:", long_options, NULL)) != -1) {
		if (option == HELP)
			return URL_OPTIONS_HELP;
		if (option == VERSION)
			return URL_OPTIONS_VERSION;
		if (option == SETTINGS)
			return URL_OPTIONS_SETTINGS;
		if (option == ':' || option == '?')
			reject(ret, option == ':' ? "%.40s needs a value" : "%.40s: no such option", argv[optind - 1]);
		if (option == WORD) { /* anywhere on the command line, whether or not POSIXLY_CORRECT is set */
			words[n] = optarg;
			n += n < WORDS_MAX;
			continue;
		}
		if (*ret->why || !take_option(ret, option, optarg))
			return URL_OPTIONS_ERROR;
	}
	if (!take_words(ret, words, n) || !(ret->command ? check_command(ret) : check_console(ret)))
		return URL_OPTIONS_ERROR;
	if (!ret->type)
		ret->type = "qemu";
	if (ret->lifetime == 0)
		ret->lifetime = URL_LIFETIME_DEFAULT;
	return URL_OPTIONS_COMMAND;
}
