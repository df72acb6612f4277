/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-setup: connects proxxy with a Proxmox VE cluster. Makes a role, a user and an API token
 * there, writes a cluster file here, and opens a console to check it. An administrator runs it once
 * for each cluster.
 */
#include <errno.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/command.h"
#include "lib/error.h"
#include "lib/settings.h"
#include "lib/strict_json.h"
#include "setup/ask.h"
#include "setup/commands.h"
#include "setup/files.h"
#include "setup/report.h"
#include "setup/request.h"
#include "setup/rights.h"
#include "setup/setup.h"
#include "setup/site.h"
#include "setup/trial.h"

enum { HOST_TIMEOUT_MS = 10 * 1000 /* for the certificate of HOST */ };

static struct setup setup;

/* Checks what this machine must have, before anything is changed: root, proxxy's user, its settings
 * and its key. */
static int check_machine(void)
{
	const struct passwd *user = getpwnam(TRIAL_USER);
	char why[512];

	if (geteuid() != 0)
		return report_error(EX_NOPERM, "only root may write the cluster file. Run it with sudo");
	if (!user)
		return report_error(EX_NOUSER,
				    "there is no user " TRIAL_USER ": proxxy is not installed here. Install the "
				    "package, or run \"make install\"");
	setup.group = user->pw_gid;
	if (config_load(&setup.config, why, sizeof(why)) < 0)
		return report_error(EX_CONFIG, "%s", why);
	if (!setup.config.accept_jwe)
		return report_error(EX_CONFIG, "PROXXY_PAYLOADS does not include jwe, which proxxy-url makes. Add it");
	return EX_OK;
}

/* Returns true if a cluster file lists HOST, and sessions that use it accept the certificate: an
 * earlier run, or the administrator, has decided. */
static bool is_accepted_already(void)
{
	struct cluster *cluster = &setup.before;
	bool accepted;
	char why[512];

	if (cluster_find_host(&setup.config, &setup.options.address, cluster, why, sizeof(why)) != CLUSTER_FOUND)
		return false;
	accepted = files_verify(&setup, cluster);
	if (accepted)
		report_step("", "the CA or fingerprint in %s.conf verifies it", cluster->name);
	cluster_wipe(cluster);
	*cluster = (struct cluster){ 0 };
	return accepted;
}

/* Shows HOST's certificate, and lets the administrator or --fingerprint accept it. A certificate
 * that a CA of this system or a cluster file verifies needs neither. */
static int accept_certificate(void)
{
	const struct setup_options *o = &setup.options;
	char why[512], text[CERTIFICATE_FINGERPRINT_MAX];
	int rc = certificate_fetch(&o->address, HOST_TIMEOUT_MS, &setup.certificate, why, sizeof(why));

	if (rc < 0)
		return report_error(report_status(rc, 0), "%s", why);
	report_step("certificate", "%s", setup.certificate.subject);
	report_step("", "%s", certificate_fingerprint_text(setup.certificate.fingerprint, text));
	if (o->has_fingerprint) {
		if (CRYPTO_memcmp(o->fingerprint, setup.certificate.fingerprint, sizeof(o->fingerprint)) == 0)
			return EX_OK;
		return report_error(EX_UNAVAILABLE,
				    "the certificate of %s has another fingerprint than --fingerprint. "
				    "Nothing was sent",
				    o->host);
	}
	if (certificate_verified_by_system(&setup.certificate, &o->address)) {
		report_step("", "verified by a CA of this system");
		return EX_OK;
	}
	if (is_accepted_already())
		return EX_OK;
	if (!ask_possible())
		return report_error(EX_NOINPUT, "there is no terminal to ask whether this is the right certificate. "
						"Use --fingerprint");
	report_step("", "Compare it on that machine: \"pvenode cert info\" prints it (of pveproxy-ssl.pem if there");
	report_step("", "is one, else of pve-ssl.pem), and so does the web interface: the node, System, Certificates.");
	return ask_yes("Is the fingerprint the same?") ?
		       EX_OK :
		       report_error(EX_UNAVAILABLE, "the certificate was not accepted. Nothing was sent");
}

/* Prints what comes next. vmid is the guest whose console was opened, or 0. */
static void print_next(uint32_t vmid, bool container)
{
	const bool several = files_count(&setup) > 1;

	if (!files_has_page())
		puts("\nFor links to the console pages, set PROXXY_PAGE to their URL in /etc/proxxy/proxxy-url.conf,\n"
		     "or run this again with --page https://panel.example.com/console/");
	printf("\nNext, as root: proxxy-url%s%s%s --vmid %u\n", several ? " --cluster " : "", several ? setup.name : "",
	       container ? " --type lxc" : "", vmid ? vmid : 100U);
}

static int make(void)
{
	struct json_object *answer = NULL, *nodes = NULL;
	uint32_t vmid = 0;
	bool container = false;
	int rc = site_identify(&setup, &answer, &nodes);

	if (rc != EX_OK)
		return rc;
	report_step("cluster", "%s (node %s)", setup.name, setup.node);
	rc = site_explore(&setup, nodes);
	strict_json_wipe(answer);
	if (rc == EX_OK)
		rc = files_read_before(&setup);
	if (rc == EX_OK) {
		site_keep_hosts(&setup);
		rc = rights_make(&setup);
	}
	if (rc == EX_OK)
		rc = files_write_cluster(&setup);
	if (rc == EX_OK && setup.options.page)
		rc = files_write_page(&setup);
	if (rc == EX_OK)
		rc = trial_run(&setup, &vmid, &container);
	if (rc == EX_OK)
		print_next(vmid, container);
	return rc;
}

static int undo(void)
{
	struct json_object *answer = NULL, *nodes = NULL;
	char question[SETUP_FILE_MAX + 128];
	int rc = site_identify(&setup, &answer, &nodes);

	if (rc != EX_OK)
		return rc;
	strict_json_wipe(answer);
	report_step("cluster", "%s (node %s)", setup.name, setup.node);
	rc = files_read_before(&setup); /* another cluster may have the same name */
	if (rc != EX_OK)
		return rc;
	if (!setup.options.yes) {
		if (!ask_possible())
			return report_error(EX_NOINPUT, "there is no terminal to ask. Use --yes");
		snprintf(question, sizeof(question), "Remove the token " SETUP_USER "!%s, and %s?",
			 setup.options.token_name, setup.file);
		if (!ask_yes(question))
			return report_error(EX_UNAVAILABLE, "not confirmed. Nothing was removed");
	}
	rc = rights_remove(&setup);
	return rc == EX_OK ? files_remove(&setup) : rc;
}

static int run(void)
{
	char why[512];
	int rc;

	gethostname(setup.machine, sizeof(setup.machine) - 1);
	if (setup.options.dry_run) {
		/* Settings that cannot be read do not matter here; the default directory is then
		 * printed. */
		config_load_settings(&setup.config, why, sizeof(why));
		keys_wipe();
		return commands_print(&setup);
	}
	rc = check_machine();
	if (rc == EX_OK)
		rc = accept_certificate();
	if (rc == EX_OK)
		rc = request_log_in(&setup);
	if (rc == EX_OK)
		rc = setup.options.undo ? undo() : make();
	if (setup.api.body)
		api_end(&setup.api);
	certificate_free(&setup.certificate);
	cluster_wipe(&setup.before);
	config_wipe_keys(&setup.config);
	OPENSSL_cleanse(setup.token, sizeof(setup.token));
	return rc;
}

int main(int argc, char **argv)
{
	int status;

	command_harden();
	switch (setup_options_parse(&setup.options, argc, argv)) {
	case SETUP_OPTIONS_HELP:
		status = setup_options_usage(stdout);
		break;
	case SETUP_OPTIONS_VERSION:
		puts("proxxy-setup " PROXXY_VERSION);
		status = EX_OK;
		break;
	case SETUP_OPTIONS_RUN:
		status = run();
		break;
	default:
		status = report_error(EX_USAGE, "%s; see --help", setup.options.why);
	}
	if (fflush(stdout) != 0)
		return report_error(EX_IOERR, "standard output: %s", strerror(errno));
	return status;
}
