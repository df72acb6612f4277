/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-url's command line, see options.h.
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
	      "  --lifetime SECONDS     how long the URL is good for: 60; proxxy takes up to 300\n"
	      "  --session-max SECONDS  how long the console may last\n"
	      "  --origin ORIGIN        the only origin that may open it: that of PROXXY_PAGE; '' for any\n"
	      "  --client ADDRESS       the only address or network that may, as proxxy sees it\n"
	      "  --title TEXT           what the page is called\n"
	      "  --settings             prints a commented file with every setting\n"
	      "  --help, --version\n"
	      "\n"
	      "Settings, read from the environment, from /etc/proxxy/proxxy-url.conf (PROXXY_URL_CONFIG\n"
	      "names another file) and from proxxy-url.conf.d/*.conf beside it:\n", out);
	backend_print_help(out);
	fputs("\nManuals: proxxy-url(1), proxxy-payload(7)\n", out);
	return EX_OK;
}

/* Says what is wrong. Returns false. */
static bool __attribute__((format(printf, 2, 3))) wrong(struct url_options *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(o->why, sizeof(o->why), format, args);
	va_end(args);
	return false;
}

/* A whole number from 1 to max in decimal, or 0. */
static int parse_number(const char *text, int max)
{
	const size_t digits = strspn(text, "0123456789");
	long number = digits > 0 && digits <= 9 && text[digits] == '\0' ? strtol(text, NULL, 10) : 0;

	return number >= 1 && number <= max ? (int)number : 0;
}

enum { WORD = 1, NODE = 256, VMID, TYPE, XTERM, VNC, JSON, FORMAT, LIFETIME, SESSION_MAX, ORIGIN, CLIENT, TITLE, SETTINGS, HELP, VERSION };

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

/* Takes one option. Returns false for a value that is none. */
static bool take_option(struct url_options *o, int option, const char *value)
{
	switch (option) {
	case NODE:
		o->node = value;
		return true;
	case VMID:
		o->vmid = (uint32_t)parse_number(value, CONSOLE_VMID_MAX);
		return o->vmid != 0 || wrong(o, "--vmid is a number from 1 to %d", CONSOLE_VMID_MAX);
	case TYPE:
		o->type = strcmp(value, "qemu") == 0 ? "qemu" : strcmp(value, "lxc") == 0 ? "lxc" : NULL;
		return o->type || wrong(o, "--type is qemu or lxc");
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
		return o->cbc || o->jwe || wrong(o, "--format is jwe or cbc");
	case LIFETIME:
		o->lifetime = parse_number(value, URL_LIFETIME_MAX);
		return o->lifetime != 0 || wrong(o, "--lifetime is seconds from 1 to %d", URL_LIFETIME_MAX);
	case SESSION_MAX:
		o->session_max = parse_number(value, CLAIMS_SESSION_MAX);
		return o->session_max != 0 || wrong(o, "--session-max is seconds from 1 to %d", CLAIMS_SESSION_MAX);
	case ORIGIN:
		o->origin = value;
		return true;
	case CLIENT:
		o->client = value;
		return true;
	case TITLE:
		o->title = value;
		return strlen(value) <= URL_TITLE_MAX || wrong(o, "--title has more than %d bytes", URL_TITLE_MAX);
	default:
		return false;
	}
}

enum { WORDS_MAX = 3 }; /* one more than there can be, for the complaint */

/* The words that are no options: a command, and keygen's name. */
static bool take_words(struct url_options *o, char **words, int n)
{
	const char *command = n > 0 ? words[0] : NULL;
	const bool keygen = command && strcmp(command, "keygen") == 0;

	if (command && !keygen && strcmp(command, "seal") != 0 && strcmp(command, "open") != 0)
		return wrong(o, "%.40s: no such command", command);
	if (n > 1 + keygen)
		return wrong(o, "%.40s: too many words", words[1 + keygen]);
	o->command = command;
	o->key_name = keygen && n > 1 ? words[1] : NULL;
	if (o->key_name && !keys_name_valid(o->key_name, strlen(o->key_name)))
		return wrong(o, "a key's name is 1 to %d letters, digits, '-', '_' or '.'", KEY_NAME_MAX);
	return true;
}

/* What goes with a command. */
static bool check_command(struct url_options *o)
{
	const bool seal = strcmp(o->command, "seal") == 0, open = strcmp(o->command, "open") == 0;

	if (*o->viewer_arguments || o->node || o->vmid || o->type || o->vnc || o->xterm || o->origin || o->client || o->session_max || o->title ||
	    (!seal && (o->jwe || o->cbc || o->lifetime)) || (!open && o->json))
		return wrong(o, "%s opens no console: %s with it", o->command,
			     seal ? "only --format and --lifetime go" : open ? "only --json goes" : "no option goes");
	return !(o->cbc && o->lifetime) || wrong(o, "--lifetime needs a JWE: the old format cannot say it");
}

/* What goes together. */
static bool check(struct url_options *o)
{
	if (o->vmid == 0)
		return wrong(o, "which guest? --vmid is missing");
	if (!o->node)
		return wrong(o, "on which node? --node is missing");
	if (!o->vnc && *o->viewer_arguments)
		return wrong(o, "what is behind -- is for a viewer: --vnc is missing");
	if (o->vnc && o->xterm)
		return wrong(o, "--vnc and --xterm exclude each other: a terminal has no VNC");
	if (o->vnc && o->origin && *o->origin)
		return wrong(o, "--vnc and --origin exclude each other: a viewer is no page");
	if (o->cbc && (o->origin || o->client || o->session_max || o->lifetime))
		return wrong(o, "--lifetime, --origin, --client and --session-max need a JWE: the old format cannot say them");
	if (!host_is_name(o->node, strlen(o->node)))
		return wrong(o, "--node is not a node's name");
	if (o->origin && *o->origin && (strpbrk(o->origin, ",* \t") || !host_origins_valid(o->origin)))
		return wrong(o, "--origin is not an origin, like https://panel.example.com");
	if (o->client && !host_is_network(o->client))
		return wrong(o, "--client is not an address or network");
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
			wrong(ret, option == ':' ? "%.40s needs a value" : "%.40s: no such option", argv[optind - 1]);
		if (option == WORD) { /* in whichever place, POSIXLY_CORRECT or not */
			words[n] = optarg;
			n += n < WORDS_MAX;
			continue;
		}
		if (*ret->why || !take_option(ret, option, optarg))
			return URL_OPTIONS_WRONG;
	}
	if (!take_words(ret, words, n) || !(ret->command ? check_command(ret) : check(ret)))
		return URL_OPTIONS_WRONG;
	if (!ret->type)
		ret->type = "qemu";
	if (ret->lifetime == 0)
		ret->lifetime = URL_LIFETIME_DEFAULT;
	return URL_OPTIONS_COMMAND;
}
