/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses and checks proxxy-setup's command line, and prints its help.
 */
#include "setup/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/keys.h"
#include "lib/uri.h"

int setup_options_usage(FILE *out)
{
	fputs("Usage: proxxy-setup HOST [option…]\n"
	      "       proxxy-setup HOST --dry-run [option…]\n"
	      "       proxxy-setup HOST --undo [--yes] [option…]\n"
	      "Connects proxxy with a Proxmox VE cluster, of which HOST is a node. Makes a role, a user and an\n"
	      "API token there that can list guests and open their consoles, and nothing else. Writes the\n"
	      "token to a cluster file here, and opens a console to check it. Run it as root on proxxy's\n"
	      "machine; it can run again.\n"
	      "\n"
	      "  --name NAME            name of the cluster file (default: the cluster's or node's name)\n"
	      "  --path PATH            what the token may open: /vms/100, /pool/NAME (default: /vms, every guest);\n"
	      "                         may be given several times\n"
	      "  --vmid VMID            the guest whose console is opened (default: the first that runs)\n"
	      "  --page URL             URL of the console pages, for proxxy-url: https://panel.example.com/console/\n"
	      "  --user USER@REALM      who makes the changes in Proxmox (default: root@pam); asks for the password\n"
	      "  --token-file FILE      USER@REALM!NAME=SECRET, an administrator's API token to use instead;\n"
	      "                         '-' reads standard input\n"
	      "  --fingerprint SHA256   HOST's certificate, in place of the question\n"
	      "  --token-name NAME      name of the token that is made (default: proxxy). Each machine with a proxxy\n"
	      "                         needs its own\n"
	      "  --new-token            make the token anew even if it works: the old secret ends\n"
	      "  --dry-run              print the commands that do the same, and do nothing\n"
	      "  --undo                 remove what it made: token, permissions, user, role, cluster file\n"
	      "  --yes                  with --undo: do not ask\n"
	      "  --help, --version\n"
	      "\n"
	      "Manual: proxxy-setup(8)\n",
	      out);
	return EX_OK;
}

/* Sets o->why. Returns false. */
static bool __attribute__((format(printf, 2, 3))) reject(struct setup_options *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(o->why, sizeof(o->why), format, args);
	va_end(args);
	return false;
}

enum {
	WORD = 1, /* getopt's value for an argument that is no option */
	NAME = 256,
	PATH,
	VMID,
	PAGE,
	USER,
	TOKEN_FILE,
	FINGERPRINT,
	TOKEN_NAME,
	NEW_TOKEN,
	DRY_RUN,
	UNDO,
	YES,
	HELP,
	VERSION,
};

static const struct option long_options[] = {
	{ "name", required_argument, NULL, NAME },
	{ "path", required_argument, NULL, PATH },
	{ "vmid", required_argument, NULL, VMID },
	{ "page", required_argument, NULL, PAGE },
	{ "user", required_argument, NULL, USER },
	{ "token-file", required_argument, NULL, TOKEN_FILE },
	{ "fingerprint", required_argument, NULL, FINGERPRINT },
	{ "token-name", required_argument, NULL, TOKEN_NAME },
	{ "new-token", no_argument, NULL, NEW_TOKEN },
	{ "dry-run", no_argument, NULL, DRY_RUN },
	{ "undo", no_argument, NULL, UNDO },
	{ "yes", no_argument, NULL, YES },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Returns true if path is one of Proxmox's for guests (pve-access-control: AccessControl.pm,
 * check_path()): "/", "/vms", "/vms/VMID", "/pool", "/pool/NAME", with up to two names more. */
static bool is_path(const char *path)
{
	const size_t len = strlen(path);
	size_t slashes = 0;

	for (const char *at = path; *at; at++)
		slashes += *at == '/';
	if (len >= SETUP_PATH_MAX || *path != '/' || (len > 1 && path[len - 1] == '/') || strstr(path, "//"))
		return false;
	if (strcmp(path, "/") == 0 || strcmp(path, "/vms") == 0 || strcmp(path, "/pool") == 0)
		return true;
	if (strncmp(path, "/vms/", 5) == 0)
		return len - 5 >= 3 && len - 5 <= 9 && path[5] != '0' && strspn(path + 5, DIGITS) == len - 5;
	return strncmp(path, "/pool/", 6) == 0 && slashes <= 4 && strspn(path + 6, LETTERS DIGITS "._-/") == len - 6;
}

/* Returns true if user is USER@REALM, in characters that need no quoting. */
static bool is_user(const char *user)
{
	const char *at = strrchr(user, '@');

	return at && at > user && at[1] && strlen(user) <= 64 && strspn(user, LETTERS DIGITS "._-+@") == strlen(user);
}

/* Returns true if name is a token's name (pve-access-control: Auth/Plugin.pm, realm_regex). */
static bool is_token_name(const char *name)
{
	const size_t len = strlen(name);

	return len >= 2 && len <= SETUP_TOKEN_NAME_MAX && strchr(LETTERS, *name) &&
	       strspn(name, LETTERS DIGITS "._-") == len;
}

/* Returns true if url can be PROXXY_PAGE. proxxy-url checks the rest when it reads it. */
static bool is_page(const char *url)
{
	const char *rest = strncmp(url, "https://", 8) == 0 ? url + 8 :
			   strncmp(url, "http://", 7) == 0  ? url + 7 :
							      NULL;

	if (!rest || strlen(url) > SETUP_PAGE_MAX || uri_names_a_page(url))
		return false;
	for (const char *at = rest; *at; at++)
		if (*at <= ' ' || *at >= 0x7F || strchr("?#\"'<>\\^`{|}", *at))
			return false;
	return *rest != '/' && *rest && uri_is_authority((struct slice){ rest, strcspn(rest, "/") });
}

/* Stores an option that changes how it runs. */
static bool take_switch(struct setup_options *o, int option)
{
	o->new_token |= option == NEW_TOKEN;
	o->dry_run |= option == DRY_RUN;
	o->undo |= option == UNDO;
	o->yes |= option == YES;
	return true;
}

static bool take_path(struct setup_options *o, const char *value)
{
	if (o->n_paths == SETUP_PATHS_MAX)
		return reject(o, "--path can be given %d times", SETUP_PATHS_MAX);
	if (!is_path(value))
		return reject(o, "--path must be /vms, /vms/VMID or /pool/NAME");
	o->paths[o->n_paths++] = value;
	return true;
}

static bool take_vmid(struct setup_options *o, const char *value)
{
	const size_t digits = strspn(value, DIGITS);

	o->vmid = digits <= 9 && value[digits] == '\0' ? (uint32_t)strtoul(value, NULL, 10) : 0;
	return o->vmid != 0 || reject(o, "--vmid must be a number from 1 to %d", CONSOLE_VMID_MAX);
}

/* Stores one option. Returns false for an invalid value. */
static bool take_option(struct setup_options *o, int option, const char *value)
{
	switch (option) {
	case NAME:
		o->name = value;
		return (keys_name_valid(value, strlen(value)) && *value != '.') ||
		       reject(o, "--name must be 1 to %d letters, digits, '-', '_' or '.', and not begin with '.'",
			      KEY_NAME_MAX);
	case PATH:
		return take_path(o, value);
	case VMID:
		return take_vmid(o, value);
	case PAGE:
		o->page = value;
		return is_page(value) ||
		       reject(o, "--page must be the pages' directory, like https://panel.example.com/console/");
	case USER:
		o->user = value;
		return is_user(value) || reject(o, "--user must be USER@REALM, like root@pam");
	case TOKEN_FILE:
		o->token_file = value;
		return *value || reject(o, "--token-file needs a file");
	case FINGERPRINT:
		o->has_fingerprint = crypto_fingerprint(value, strlen(value), o->fingerprint) == 0;
		return o->has_fingerprint || reject(o, "--fingerprint must be a SHA-256: 64 hex digits");
	case TOKEN_NAME:
		o->token_name = value;
		return is_token_name(value) ||
		       reject(o, "--token-name must be a letter and 1 to %d letters, digits, '-', '_' or '.'",
			      SETUP_TOKEN_NAME_MAX - 1);
	default:
		return take_switch(o, option);
	}
}

/* Checks what the options mean together. */
static bool check(struct setup_options *o, const char *user)
{
	if (!o->host)
		return reject(o, "HOST is missing: the name or address of a node of the Proxmox cluster");
	if (payload_parse_host(o->host, &o->address) < 0)
		return reject(
			o, "HOST must be a name or address, with or without :port, and nothing else, such as https://");
	if (o->undo && (o->page || o->vmid || o->n_paths > 0 || o->new_token))
		return reject(o, "--undo and --%s cannot be combined",
			      o->page        ? "page" :
			      o->vmid        ? "vmid" :
			      o->n_paths > 0 ? "path" :
					       "new-token");
	if (o->yes && !o->undo)
		return reject(o, "--yes is for --undo");
	if (user && o->token_file)
		return reject(o, "--user and --token-file cannot be combined: the token says whose it is");
	return true;
}

enum setup_options_result setup_options_parse(struct setup_options *ret, int argc, char **argv)
{
	const char *user;
	int option;

	*ret = (struct setup_options){ .token_name = "proxxy" };
	opterr = 0;
	while ((option = getopt_long(argc, argv, "-:", long_options, NULL)) != -1) {
		if (option == HELP)
			return SETUP_OPTIONS_HELP;
		if (option == VERSION)
			return SETUP_OPTIONS_VERSION;
		if (option == ':' || option == '?')
			reject(ret, option == ':' ? "%.40s needs a value" : "%.40s: no such option", argv[optind - 1]);
		else if (option == WORD && ret->host)
			reject(ret, "%.40s: unexpected argument", optarg);
		else if (option == WORD)
			ret->host = optarg;
		else
			take_option(ret, option, optarg);
		if (*ret->why)
			return SETUP_OPTIONS_ERROR;
	}
	if (optind < argc) {
		reject(ret, "%.40s: unexpected argument", argv[optind]);
		return SETUP_OPTIONS_ERROR;
	}
	user = ret->user;
	if (!user)
		ret->user = "root@pam";
	return check(ret, user) ? SETUP_OPTIONS_RUN : SETUP_OPTIONS_ERROR;
}
