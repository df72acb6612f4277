/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the command line with getopt_long(3).
 */
#include "listen/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	MODE_DEFAULT = 0660,
	/* Without --max and PROXXY_MAX_SESSIONS: as MaxConnections= in proxxy.socket. */
	SESSIONS_DEFAULT = 1024,
	/* proxxy-conn itself answers a client above PROXXY_MAX_SESSIONS with 503, so that a
	 * balancer tries another host. For these answers there must be more processes: a quarter
	 * more, and these. */
	ANSWERS_SPARE = 64,
};

static const char PORT_DEFAULT[] = "8443";
static const char PROGRAM_DEFAULT[] = "proxxy-conn";

static const char HELP[] =
	"Usage: proxxy-listen [OPTION...] [PROGRAM [ARGUMENT...]]\n"
	"Accepts connections and starts PROGRAM for each of them, with the connection as fd 0 and 1. For\n"
	"containers, where it may be PID 1, and for the foreground. PROGRAM is proxxy-conn in the folder of\n"
	"proxxy-listen if none is named.\n"
	"\n"
	"  --listen PORT          listens on all addresses, IPv6 and IPv4; the default is $PORT, else 8443\n"
	"  --listen ADDRESS:PORT  listens on one address: 127.0.0.1:8443, [::1]:8443\n"
	"  --listen unix:/PATH    listens on a UNIX socket\n"
	"                         --listen can be given up to 16 times\n"
	"  --mode MODE            permissions of UNIX sockets; the default is 0660\n"
	"  --max N                processes at once; further clients wait. The default is 1024, or with\n"
	"                         $PROXXY_MAX_SESSIONS a quarter more than it, and 64\n"
	"  --health               asks a running proxxy-listen for /api/status; exit status 0 or 1\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM, SIGINT, SIGHUP  accept nothing more, end all sessions with a Close, wait for them (8 s at\n"
	"                         most), and exit\n"
	"SIGUSR1                  accept nothing more, and exit when the last session has ended by itself\n"
	"\n"
	"Manual: proxxy-listen(8)\n";

enum { OPTION_LISTEN = 1, OPTION_MODE, OPTION_MAX, OPTION_HEALTH, OPTION_HELP, OPTION_VERSION };

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "max", required_argument, NULL, OPTION_MAX },
	{ "health", no_argument, NULL, OPTION_HEALTH },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ 0 },
};

/* Prints an error about text, the value of name. Returns status. */
static int refuse(int status, const char *name, const char *text, const char *needed)
{
	fprintf(stderr, "proxxy-listen: %s is \"%s\": %s\n", name, text, needed);
	return status;
}

/* Adds an address. Returns OPTIONS_RUN, or status after an error. */
static int add_address(struct options *o, int status, const char *name, const char *text)
{
	if (o->n == OPTIONS_LISTENERS_MAX)
		return refuse(status, name, text, "there can be 16 at most");
	if (!address_parse(text, &o->addresses[o->n]))
		return refuse(status, name, text,
			      "it must be PORT, ADDRESS:PORT with a numeric address ([ADDRESS]:PORT for IPv6), or "
			      "unix:/PATH with at most 107 bytes");
	o->listen[o->n++] = text;
	return OPTIONS_RUN;
}

static int take_mode(struct options *o, const char *text)
{
	const size_t digits = strspn(text, "01234567");

	if (digits < 3 || digits > 4 || text[digits] != '\0' || (digits == 4 && *text != '0'))
		return refuse(EX_USAGE, "--mode", text, "it must be octal, such as 0660");
	o->mode = (mode_t)strtoul(text, NULL, 8);
	return OPTIONS_RUN;
}

static int take_max(struct options *o, const char *text)
{
	const long number = address_parse_number(text, 1, OPTIONS_SESSIONS_MAX);

	if (number < 0)
		return refuse(EX_USAGE, "--max", text, "it must be a whole number from 1 to 100000");
	o->max = (size_t)number;
	return OPTIONS_RUN;
}

static int take_option(struct options *o, int option)
{
	switch (option) {
	case OPTION_LISTEN:
		return add_address(o, EX_USAGE, "--listen", optarg);
	case OPTION_MODE:
		return take_mode(o, optarg);
	case OPTION_MAX:
		return take_max(o, optarg);
	case OPTION_HEALTH:
		o->health = true;
		return OPTIONS_RUN;
	case OPTION_HELP:
		return fputs(HELP, stdout) < 0 ? EX_IOERR : EX_OK;
	case OPTION_VERSION:
		return puts("proxxy-listen " PROXXY_VERSION) < 0 ? EX_IOERR : EX_OK;
	default: /* getopt_long() has printed the error */
		fputs("proxxy-listen --help lists the options\n", stderr);
		return EX_USAGE;
	}
}

/* Returns the value of an environment variable, or NULL if it is not set or empty. */
static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Returns how many processes n sessions need. */
static size_t room_for(size_t n)
{
	const size_t all = n + n / 4 + ANSWERS_SPARE;

	return all < OPTIONS_SESSIONS_MAX ? all : OPTIONS_SESSIONS_MAX;
}

/* Takes from the environment what the command line leaves open. */
static int take_environment(struct options *o)
{
	const char *port = environment("PORT"), *sessions = environment("PROXXY_MAX_SESSIONS");

	if (o->n == 0) {
		if (port && address_parse_number(port, 1, 65535) < 0)
			return refuse(EX_CONFIG, "PORT", port, "it must be a whole number from 1 to 65535");
		add_address(o, EX_CONFIG, "PORT", port ? port : PORT_DEFAULT);
	}
	if (o->max == 0 && sessions) {
		const long number = address_parse_number(sessions, 0, INT_MAX);

		if (number < 0)
			return refuse(EX_CONFIG, "PROXXY_MAX_SESSIONS", sessions, "it must be a whole number");
		if (number > 0)
			o->max = room_for((size_t)number);
	}
	if (o->max == 0)
		o->max = SESSIONS_DEFAULT;
	return OPTIONS_RUN;
}

/* Sets the program: the one that is named, else proxxy-conn in our own folder. */
static int take_program(struct options *o, char **rest)
{
	ssize_t len;
	char *slash;

	o->argv = rest;
	if (*rest)
		return OPTIONS_RUN;
	len = readlink("/proc/self/exe", o->program, sizeof(o->program) - sizeof(PROGRAM_DEFAULT));
	if (len < 0 || (size_t)len >= sizeof(o->program) - sizeof(PROGRAM_DEFAULT)) {
		fprintf(stderr, "proxxy-listen: cannot find its own folder (/proc/self/exe): name the program\n");
		return EX_OSERR;
	}
	o->program[len] = '\0';
	slash = strrchr(o->program, '/');
	/* Its size was kept free above. */
	memcpy(slash ? slash + 1 : o->program, PROGRAM_DEFAULT, sizeof(PROGRAM_DEFAULT));
	o->own_argv[0] = o->program;
	o->argv = o->own_argv;
	return OPTIONS_RUN;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	int option, rc;

	memset(ret, 0, sizeof(*ret));
	ret->mode = MODE_DEFAULT;
	while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		rc = take_option(ret, option);
		if (rc != OPTIONS_RUN)
			return rc;
	}
	rc = take_environment(ret);
	if (rc != OPTIONS_RUN)
		return rc;
	if (ret->health && argv[optind]) {
		fprintf(stderr, "proxxy-listen: --health takes no program\n");
		return EX_USAGE;
	}
	rc = take_program(ret, argv + optind);
	if (rc != OPTIONS_RUN || ret->health)
		return rc;
	if (access(ret->argv[0], X_OK) < 0) {
		fprintf(stderr, "proxxy-listen: cannot start %s: %s\n", ret->argv[0], strerror(errno));
		return EX_UNAVAILABLE;
	}
	return OPTIONS_RUN;
}
