/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the commands for --dry-run. Each value in them was checked to need no more quoting than it
 * has here.
 */
#include "setup/commands.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "setup/files.h"
#include "setup/report.h"
#include "setup/rights.h"

/* Sets s->name: the option, else HOST's first label, else "cluster". Only Proxmox knows the name
 * that proxxy-setup would choose. */
static void choose_name(struct setup *s)
{
	const struct console *host = &s->options.address;
	const size_t label = host->host_is_address ? strlen(host->host) : strcspn(host->host, ".");

	if (s->options.name)
		snprintf(s->name, sizeof(s->name), "%s", s->options.name);
	else if (keys_name_valid(host->host, label))
		snprintf(s->name, sizeof(s->name), "%.*s", (int)label, host->host);
	else
		snprintf(s->name, sizeof(s->name), "cluster");
}

static const char *path_at(const struct setup *s, size_t i)
{
	return s->options.n_paths > 0 ? s->options.paths[i] : "/vms";
}

static size_t n_paths(const struct setup *s)
{
	return s->options.n_paths > 0 ? s->options.n_paths : 1;
}

static void print_undo(const struct setup *s)
{
	printf("# On a node of the cluster, as root. Deleting the user deletes its permissions.\n"
	       "pveum user token delete %s %s\n"
	       "pveum user delete %s\n"
	       "pveum role delete %s\n"
	       "\n"
	       "# On this machine, as root:\n"
	       "rm -f %s %s\n",
	       SETUP_USER, s->options.token_name, SETUP_USER, SETUP_ROLE, s->file, s->ca_file);
}

/* The file commands. The cluster file is written by cat, so that the secret is in no argument. */
static void print_files(const struct setup *s)
{
	const char *host = s->options.address.host;
	const bool v6 = strchr(host, ':') != NULL;

	printf("\n# On this machine, as root. SECRET is the \"value\" that \"token add\" has printed.\n"
	       "install -d -m 755 %s\n"
	       "scp root@%s%s%s:/etc/pve/pve-root-ca.pem %s\n"
	       "chmod 644 %s\n"
	       "install -m 640 -g " SETUP_GROUP " /dev/stdin %s <<'END'\n",
	       s->config.cluster_directory, v6 ? "[" : "", host, v6 ? "]" : "", s->ca_file, s->ca_file, s->file);
	printf("HOSTS=%s\n"
	       "TOKEN=%s!%s=SECRET\n"
	       "CA_FILE=%s\n"
	       "END\n",
	       s->options.host, SETUP_USER, s->options.token_name, s->ca_file);
	if (s->options.page)
		printf("echo 'PROXXY_PAGE=%s' >>/etc/proxxy/proxxy-url.conf\n", s->options.page);
	printf("\n# The first console, as root:\n"
	       "proxxy-url --vmid %u\n",
	       s->options.vmid ? s->options.vmid : 100U);
}

int commands_print(struct setup *s)
{
	int rc;

	choose_name(s);
	rc = files_name(s);
	if (rc != EX_OK)
		return rc;
	if (s->options.undo) {
		print_undo(s);
		return EX_OK;
	}
	printf("# On a node of the cluster, as root:\n"
	       "pveum role add %s --privs %s\n"
	       "pveum user add %s --comment '%s'\n",
	       SETUP_ROLE, SETUP_PRIVILEGES, SETUP_USER, RIGHTS_COMMENT);
	printf("pveum user token add %s %s --privsep 1 --comment '%s on %s'\n", SETUP_USER, s->options.token_name,
	       RIGHTS_COMMENT, s->machine);
	for (size_t i = 0; i < n_paths(s); i++)
		printf("pveum acl modify %s --users %s --tokens '%s!%s' --roles %s\n", path_at(s, i), SETUP_USER,
		       SETUP_USER, s->options.token_name, SETUP_ROLE);
	print_files(s);
	return EX_OK;
}
