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
	fputs("Usage: proxxy-url --vmid VMID [option…] [-- viewer argument…]\n"
	      "       proxxy-url seal [--format jwe|cbc] [--lifetime SECONDS] [--once] < members.json\n"
	      "       proxxy-url open [--json] < link or payload\n"
	      "       proxxy-url keygen [NAME]\n"
	      "Prints a link to a guest's console. proxxy asks Proxmox for the console when the link is opened.\n"
	      "\"seal\" encrypts a payload, \"open\" shows and checks what a link contains, \"keygen\" makes a key.\n"
	      "\n"
	      "  --type qemu|lxc        a VM (the default) or a container\n"
	      "  --cluster NAME         proxxy's cluster file; or --host HOST, which one of these files lists\n"
	      "  --term, --xterm        the guest's terminal instead of its VNC screen\n"
	      "  --open, --vnc          open the link in $BROWSER, or the console in vncviewer or $VNCVIEWER\n"
	      "  --json                 print all parts as JSON\n"
	      "  --minutes MINUTES      how long the link is valid (default: 5), or --lifetime SECONDS\n"
	      "  --once                 the link opens one console only\n"
	      "  --sub TEXT             who uses the link, for proxxy's log\n"
	      "  --session-max SECONDS  how long the console may stay open\n"
	      "  --origin ORIGIN        the only web origin that may open it (default: PROXXY_PAGE's; '': any)\n"
	      "  --client ADDRESS       the only client address or network; leave it out behind an HTTPS proxy\n"
	      "  --title TEXT           title of the page\n"
	      "  --node NODE            the guest's node. Without --cluster or --host, it implies --ask\n"
	      "  --ask                  ask Proxmox for the console now; it waits 10 s. Needs --node\n"
	      "  --format jwe|cbc       payload format: JWE, or cbc, the older one, which needs --ask\n"
	      "  --settings             print a commented file with every setting; also --help, --version\n"
	      "\n"
	      "Settings are read from the environment, from /etc/proxxy/proxxy-url.conf (or PROXXY_URL_CONFIG)\n"
	      "and from proxxy-url.conf.d/*.conf beside it; --settings prints such a file with comments:\n",
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

static bool has_control(const char *text)
{
	while (*text && (unsigned char)*text >= ' ' && *text != 0x7F)
		text++;
	return *text;
}

enum {
	WORD = 1, /* getopt's value for an argument that is no option */
	VMID = 256,
	TYPE,
	CLUSTER,
	HOST,
	NODE,
	ASK,
	TERM,
	VNC,
	OPEN,
	JSON,
	FORMAT,
	MINUTES,
	LIFETIME,
	ONCE,
	SUB,
	SESSION_MAX,
	ORIGIN,
	CLIENT,
	TITLE,
	SETTINGS,
	HELP,
	VERSION,
};

static const struct option long_options[] = {
	{ "vmid", required_argument, NULL, VMID },
	{ "type", required_argument, NULL, TYPE },
	{ "cluster", required_argument, NULL, CLUSTER },
	{ "host", required_argument, NULL, HOST },
	{ "node", required_argument, NULL, NODE },
	{ "ask", no_argument, NULL, ASK },
	{ "term", no_argument, NULL, TERM },
	{ "xterm", no_argument, NULL, TERM }, /* its name in earlier versions */
	{ "vnc", no_argument, NULL, VNC },
	{ "open", no_argument, NULL, OPEN },
	{ "json", no_argument, NULL, JSON },
	{ "format", required_argument, NULL, FORMAT },
	{ "minutes", required_argument, NULL, MINUTES },
	{ "lifetime", required_argument, NULL, LIFETIME },
	{ "once", no_argument, NULL, ONCE },
	{ "sub", required_argument, NULL, SUB },
	{ "session-max", required_argument, NULL, SESSION_MAX },
	{ "origin", required_argument, NULL, ORIGIN },
	{ "client", required_argument, NULL, CLIENT },
	{ "title", required_argument, NULL, TITLE },
	{ "settings", no_argument, NULL, SETTINGS },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

/* Stores an option without a value. Returns false if there is no such option. */
static bool take_flag(struct url_options *o, int option)
{
	bool *const flag = option == ASK  ? &o->ask :
			   option == TERM ? &o->terminal :
			   option == VNC  ? &o->vnc :
			   option == OPEN ? &o->browser :
			   option == JSON ? &o->json :
			   option == ONCE ? &o->once :
					    NULL;

	if (flag)
		*flag = true;
	return flag;
}

/* Stores a lifetime of so many units. Returns false for an invalid one. */
static bool take_lifetime(struct url_options *o, const char *name, const char *value, const char *unit, int seconds)
{
	if (o->lifetime != 0)
		return reject(o, "--minutes and --lifetime: only one of them, once");
	o->lifetime = parse_number(value, URL_LIFETIME_MAX / seconds) * seconds;
	return o->lifetime != 0 ||
	       reject(o, "--%s must be a number of %s from 1 to %d", name, unit, URL_LIFETIME_MAX / seconds);
}

/* Stores one option. Returns false for an invalid value. */
static bool take_option(struct url_options *o, int option, const char *value)
{
	switch (option) {
	case VMID:
		o->vmid = (uint32_t)parse_number(value, CONSOLE_VMID_MAX);
		return o->vmid != 0 || reject(o, "--vmid must be a number from 1 to %d", CONSOLE_VMID_MAX);
	case TYPE:
		o->type = strcmp(value, "qemu") == 0 ? "qemu" : strcmp(value, "lxc") == 0 ? "lxc" : NULL;
		return o->type || reject(o, "--type must be qemu or lxc");
	case CLUSTER:
		o->cluster = value;
		return backend_cluster_valid(value) ||
		       reject(o,
			      "--cluster is not the name of a cluster file: 1 to %d letters, digits, '-', '_' or "
			      "'.', not beginning with '.'",
			      KEY_NAME_MAX);
	case HOST:
		o->host = value;
		return true;
	case NODE:
		o->node = value;
		return true;
	case FORMAT:
		o->cbc = strcmp(value, "cbc") == 0;
		o->jwe = strcmp(value, "jwe") == 0;
		return o->cbc || o->jwe || reject(o, "--format must be jwe or cbc");
	case MINUTES:
		return take_lifetime(o, "minutes", value, "minutes", 60);
	case LIFETIME:
		return take_lifetime(o, "lifetime", value, "seconds", 1);
	case SUB:
		o->sub = value;
		return (*value && strlen(value) <= CLAIMS_SUB_MAX && !has_control(value)) ||
		       reject(o, "--sub must have 1 to %d bytes, without control characters", CLAIMS_SUB_MAX);
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
		return take_flag(o, option);
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
		return keygen ? reject(o, "%.40s: unexpected argument", words[2]) :
				reject(o, "%s takes no argument: it reads standard input", command);
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

	if (*o->viewer_arguments || o->vmid || o->type || o->cluster || o->host || o->node || o->ask || o->terminal ||
	    o->vnc || o->browser || o->sub || o->origin || o->client || o->session_max || o->title ||
	    (!seal && (o->jwe || o->cbc || o->lifetime || o->once)) || (!open && o->json))
		return reject(o, "%s accepts %s", o->command,
			      seal ? "only --format, --minutes, --lifetime and --once" :
			      open ? "only --json" :
				     "no options");
	return !(o->cbc && (o->lifetime || o->once)) ||
	       reject(o, "--lifetime, --minutes and --once need --format jwe: a cbc payload has no claims");
}

/* Decides whether Proxmox is asked, and checks the options that say where the guest is. */
static bool check_guest(struct url_options *o)
{
	static struct console ignored; /* too large for the stack */

	if (o->vmid == 0)
		return reject(o, "--vmid is missing");
	if (o->ask && (o->cluster || o->host))
		return reject(o, "--ask and --%s cannot be combined: --ask uses PROXMOX_HOST",
			      o->cluster ? "cluster" : "host");
	if (o->cluster && o->host)
		return reject(o, "--cluster and --host cannot be combined: a cluster file lists its hosts");
	if (o->ask && !o->node)
		return reject(o, "--ask needs --node");
	if (o->node && !host_is_name(o->node, strlen(o->node)))
		return reject(o, "--node is not a valid node name");
	if (o->host && payload_parse_host(o->host, &ignored) < 0)
		return reject(o, "--host is not a host name or address, with or without a port");
	/* Before there were links without a console ticket, --node was required. */
	o->ask |= o->node && !o->cluster && !o->host;
	return true;
}

/* Checks the options of a console. */
static bool check_console(struct url_options *o)
{
	if (!check_guest(o))
		return false;
	if (!o->vnc && *o->viewer_arguments)
		return reject(o, "arguments after -- are for the viewer, but --vnc is missing");
	if (o->vnc && o->terminal)
		return reject(o, "--vnc and --term cannot be combined: a terminal does not use VNC");
	if (o->browser && (o->vnc || o->json))
		return reject(o, "--open and --%s cannot be combined", o->vnc ? "vnc" : "json");
	if (o->vnc && o->origin && *o->origin)
		return reject(o, "--vnc and --origin cannot be combined: a viewer sends no Origin");
	if (o->cbc && (o->lifetime || o->once || o->sub || o->origin || o->client || o->session_max))
		return reject(o, "--lifetime, --minutes, --once, --sub, --origin, --client and --session-max need "
				 "--format jwe: a cbc payload has no claims");
	if (o->cbc && !o->ask)
		return reject(o, "--format cbc needs --ask and --node: proxxy requests a console only for a JWE, "
				 "which is authenticated");
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
	return URL_OPTIONS_COMMAND;
}
