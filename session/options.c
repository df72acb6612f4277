/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints help, version and settings, and starts --check. proxxy-conn.c calls it.
 */
#include "session/options.h"

#include <string.h>
#include <sysexits.h>

#include "lib/config.h"
#include "session/check.h"

int options_usage(FILE *out)
{
	fputs("Usage: proxxy-conn\n"
	      "Relays one browser's WebSocket to the console of a guest of Proxmox VE. It is not started by\n"
	      "hand: systemd (proxxy.socket) or xinetd runs one for each connection, with the client's\n"
	      "socket on fd 0 and 1. To try it:\n"
	      "  proxxy-listen --listen 8443\n"
	      "\n"
	      "  --help      this text\n"
	      "  --version   the version\n"
	      "  --settings  a commented file with every setting\n"
	      "  --check     checks the settings, the key and the cluster files, and lists the files that are read\n"
	      "\n"
	      "Settings, read from the environment, from /etc/proxxy/proxxy.conf (PROXXY_CONFIG names\n"
	      "another file) and from proxxy.conf.d/*.conf beside it:\n",
	      out);
	config_print_help(out);
	fputs("\nManuals: proxxy-conn(8), proxxy.conf(5), proxxy-payload(7)\n", out);
	return out == stdout ? EX_OK : EX_USAGE;
}

int options_run(int argc, char **argv)
{
	if (argc == 1)
		return OPTIONS_NONE;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return options_usage(stdout);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("proxxy-conn " PROXXY_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--settings") == 0) {
		config_print_file(stdout);
		return EX_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--check") == 0)
		return check_settings();
	return options_usage(stderr);
}
