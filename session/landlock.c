/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the Landlock rulesets of a session: landlock(7), and the kernel's
 * Documentation/userspace-api/landlock.rst. sandbox.c calls it.
 */
#include "session/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cluster.h"
#include "lib/counters_file.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/store_url.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* struct landlock_ruleset_attr of Linux 6.12; older kernels know only the first members. */
struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

/* Members of struct ruleset that not all kernel headers have. */
enum { NET_BIND_TCP = 1, SCOPE_ABSTRACT_SOCKET = 1 };

enum {
	READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE,
	READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	/* Make, lock, rename and remove files, also in directories that it makes. */
	WRITE = READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
		LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

static const struct {
	const char *path;
	uint64_t rights;
} usual[] = {
	{ "/etc", READ },
	/* Libraries that are loaded later: name service modules, hiredis. The last two have all
	 * programs of NixOS and Guix. */
	{ "/usr", READ },
	{ "/opt", READ },
	{ "/nix/store", READ },
	{ "/gnu/store", READ },
	/* What /etc/resolv.conf is a link to, nscd, secrets of containers. */
	{ "/run", READ },
	{ "/proc", READ_FILE },
	{ "/dev/urandom", READ_FILE }, /* older libraries */
	/* Of the name service modules libvirt, sss and nis. */
	{ "/var/lib/libvirt/dnsmasq", READ },
	{ "/var/lib/sss", READ },
	{ "/var/yp", READ },
	{ COUNTERS_RUNTIME_DIRECTORY, WRITE },
};

/* Also readable. Most are links to /usr, or files of /etc: then they need no rule. */
static const char *const links[] = { "/lib", "/lib64", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf" };

/* The ruleset of the first phases. */
struct opening {
	int ruleset;
	bool failed; /* a rule could not be added: what it allows would be forbidden */
};

/* Makes a ruleset that handles all accesses to files, and in net and scope those of wanted that the
 * kernel knows. Returns its descriptor, or -1 with errno: ENOSYS or EOPNOTSUPP if the kernel has no
 * Landlock, or it is disabled. */
static int make(struct ruleset wanted)
{
	static const uint64_t files[] = { 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF }; /* by version, from 1 on */
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	size_t size = sizeof(wanted);

	if (version < 1)
		return -1;
	wanted.handled_access_fs = files[version <= (long)COUNT(files) ? version - 1 : (long)COUNT(files) - 1];
	if (version < 4)
		size = offsetof(struct ruleset, handled_access_net);
	else if (version < 6)
		size = offsetof(struct ruleset, scoped);
	return (int)syscall(SYS_landlock_create_ruleset, &wanted, size, 0);
}

/* Enters a ruleset and closes it. Returns true if it did. */
static bool enter(int ruleset)
{
	bool entered;

	if (ruleset < 0)
		return false;
	entered = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return entered;
}

/* Allows rights at path and below it, or at what it is a link to. Ignores a missing path. */
static void allow(struct opening *o, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights };
	long rc;

	/* Has no links to elsewhere, but may hang: it is a file system of a process. */
	if (strncmp(path, "/etc/pve/", 9) == 0)
		return;
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	rc = syscall(SYS_landlock_add_rule, o->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (rc < 0 && errno == EINVAL) { /* a file cannot have rights of directories */
		rule.allowed_access &= READ_FILE;
		rc = syscall(SYS_landlock_add_rule, o->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	o->failed |= rc < 0;
	close(rule.parent_fd);
}

/* True if other rules allow path anyway: it is a link to /usr, or in /etc and no link. This takes
 * less time than a rule. */
static bool is_covered(const char *path)
{
	char target[64], *at = target;
	const ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return errno == EINVAL && strncmp(path, "/etc/", 5) == 0;
	target[n] = '\0';
	while (strncmp(at, "../", 3) == 0)
		at += 3;
	at += *at == '/';
	return strncmp(at, "usr/", 4) == 0;
}

/* Allows to read path[0..len). */
static void allow_part(struct opening *o, const char *path, size_t len)
{
	char text[SETTINGS_PATH_MAX];

	if (len == 0 || len >= sizeof(text))
		return;
	memcpy(text, path, len);
	text[len] = '\0';
	allow(o, text, READ);
}

/* Allows to read the libraries in the directories that the environment names, and what the setting
 * names. */
static void allow_lists(struct opening *o, const struct config *config)
{
	const char *libraries = getenv("LD_LIBRARY_PATH"), *readable = config->readable, *item;
	size_t len;

	for (; libraries && *libraries; libraries += len + (libraries[len] != '\0')) {
		len = strcspn(libraries, ":;");
		allow_part(o, libraries, len);
	}
	while ((item = list_next(&readable, &len)))
		allow_part(o, item, len);
}

/* Allows to read a cluster file, which may be a link, and the file of CAs that it names. */
static int allow_cluster(void *opening, const char *path)
{
	struct cluster cluster = { 0 };

	allow(opening, path, READ_FILE);
	if (cluster_load_ca_file(path, &cluster) && *cluster.ca_file)
		allow(opening, cluster.ca_file, READ_FILE);
	return OK;
}

/* The same for a credential, if it is a cluster file. */
static int allow_credential(void *opening, const char *path)
{
	const char *name = strrchr(path, '/');

	return name && strncmp(name, "/cluster-", 9) == 0 ? allow_cluster(opening, path) : OK;
}

/* Allows to read the cluster files and what they name. Whoever needs a file reports its errors. */
static void allow_clusters(struct opening *o, const struct config *config, const char *credentials)
{
	char why[512];

	allow(o, config->cluster_directory, READ);
	if (!config->accept_jwe)
		return; /* the other format has no clusters */
	settings_each_file(config->cluster_directory, allow_cluster, o, why, sizeof(why));
	if (credentials)
		settings_each_file(credentials, allow_credential, o, why, sizeof(why));
}

/* Allows to read what the shared store needs. */
static void allow_store(struct opening *o, const struct config *config)
{
	struct store_url url;

	allow(o, config->store_password_file, READ_FILE);
	if (store_url_parse(config->replay_store, &url) && url.tls)
		allow(o, *url.ca_file ? url.ca_file : X509_get_default_cert_dir(), READ);
	OPENSSL_cleanse(&url, sizeof(url));
}

bool landlock_enter_opening(const struct config *config)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY"), *notify = getenv("NOTIFY_SOCKET");
	struct ruleset wanted = { .handled_access_net = NET_BIND_TCP, .scoped = 3 };
	struct opening o = { -1, false };

	if (notify && *notify == '@')
		wanted.scoped &= ~(uint64_t)SCOPE_ABSTRACT_SOCKET;
	o.ruleset = make(wanted);
	if (o.ruleset < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP;
	for (size_t i = 0; i < COUNT(usual); i++)
		allow(&o, usual[i].path, usual[i].rights);
	for (size_t i = 0; i < COUNT(links); i++)
		if (!is_covered(links[i]))
			allow(&o, links[i], READ);
	allow_lists(&o, config);
	if (*config->ca_file)
		allow(&o, config->ca_file, READ_FILE);
	else
		allow(&o, X509_get_default_cert_dir(), READ);
	allow(&o, config->state_directory, WRITE);
	if (credentials)
		allow(&o, credentials, READ);
	allow_clusters(&o, config, credentials);
	if (*config->replay_store)
		allow_store(&o, config);
	/* A filter of the service manager or container may not know landlock_add_rule(). */
	if (!o.failed)
		return enter(o.ruleset);
	close(o.ruleset);
	return false;
}

void landlock_enter_relaying(void)
{
	enter(make((struct ruleset){ .handled_access_net = 3, .scoped = 3 }));
}
