/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements proxxy-conn --check, which deploy/setup and operators run, and the warnings about
 * unsafe settings that each session logs.
 */
#include "session/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/error.h"
#include "lib/payload.h"
#include "lib/terminal.h"
#include "session/algorithms.h"
#include "session/upstream.h"

void check_warn(const struct config *config, void (*warn)(const char *message))
{
	if (!config->tls_verify)
		warn("PROXXY_TLS_VERIFY is off: anyone on the way to Proxmox can pose as it and take "
		     "tickets and consoles");
	if (!config->accept_jwe)
		warn("PROXXY_PAYLOADS is cbc: payloads are not authenticated, do not expire, and can be changed on "
		     "their way");
}

/* Prints a sentence to standard error. Under systemd it gets a log level, which the journal strips
 * (sd-daemon(3)). */
static void print_warning(const char *message)
{
	fprintf(stderr, "%sproxxy-conn: %s\n", getenv("JOURNAL_STREAM") ? "<4>" : "", message);
}

/* Warns about settings that sessions do not log, because they are the defaults. */
static void warn_of_defaults(const struct config *config)
{
	if (config->accept_cbc && !*config->ca_file && !*config->allowed_hosts && config->n_fingerprints == 0)
		print_warning(
			"payloads of the old format are accepted, Proxmox's certificate may come from any public CA, "
			"and any host may be dialled: who changes a payload could have its ticket sent to a machine of "
			"theirs. Set PROXXY_CA_FILE to the cluster's own CA, or PROXXY_ALLOWED_HOSTS");
	if (config->accept_cbc && config->accept_jwe)
		print_warning(
			"payloads of the old format are accepted, which are not authenticated and do not expire: once "
			"every backend sends JWE, set PROXXY_PAYLOADS=jwe");
}

/* Starts OpenSSL and loads the CA file, as a session does. Returns 0, or an error with words in
 * why[0..size). */
static int check_tls(const struct config *config, char *why, size_t size)
{
	static const struct access none;
	static struct upstream upstream;
	int rc = algorithms_restrict();

	upstream_init(&upstream);
	if (rc == OK)
		rc = upstream_prepare(&upstream, config, &none);
	if (rc < 0)
		error_why(why, size, rc, "%s", *upstream.detail ? upstream.detail : "OpenSSL does not start");
	upstream_close(&upstream);
	return rc;
}

int check_settings(void)
{
	static struct config config;
	char why[256] = "";
	int rc = config_load(&config, why, sizeof(why));

	config_print_files(stdout);
	config_wipe_keys(&config);
	if (rc == OK)
		rc = check_tls(&config, why, sizeof(why));
	if (rc < 0) {
		print_warning(terminal_clean(why));
		return EX_CONFIG;
	}
	check_warn(&config, print_warning);
	warn_of_defaults(&config);
	return puts("proxxy-conn: settings and key are in order") < 0;
}
