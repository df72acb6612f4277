/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a cluster file: the hosts of a Proxmox cluster, the API token with which proxxy requests
 * consoles there, and which certificates its hosts have. It is NAME.conf in the directory that
 * PROXXY_CLUSTER_DIRECTORY names, or the systemd credential cluster-NAME.conf. man/proxxy.conf.5
 * describes the format.
 */
#ifndef PROXXY_CLUSTER_H
#define PROXXY_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/payload.h"

enum {
	CLUSTER_HOSTS_MAX = 32, /* Proxmox recommends no larger cluster */
};

struct cluster_host {
	char host[CONSOLE_HOST_MAX + 1]; /* name or address, without brackets */
	bool is_address;
	uint16_t port; /* 0 for PROXXY_UPSTREAM_PORT */
};

/* The large members of a static struct cluster without a file are never allocated: only the token
 * and the name are touched, which come first and last. */
struct cluster {
	char token[CONSOLE_TICKET_MAX + 1]; /* secret; PVEAPIToken=USER@REALM!NAME=SECRET */
	char ca_file[SETTINGS_PATH_MAX];    /* "" if the file has no CA_FILE */
	struct cluster_host hosts[CLUSTER_HOSTS_MAX];
	uint8_t fingerprints[CONFIG_FINGERPRINTS_MAX][CRYPTO_FINGERPRINT_LEN];
	size_t n_hosts; /* at least 1 */
	size_t n_fingerprints;
	char name[KEY_NAME_MAX + 1]; /* "" if there is no cluster */
};

/* Results of cluster_find() and cluster_find_host() that are not errors. */
enum { CLUSTER_NONE = 0, CLUSTER_FOUND = 1 };

/* Reads the cluster file with that name, which keys_name_valid() accepts and which begins with no
 * dot. Returns CLUSTER_FOUND with *ret, which the caller wipes with cluster_wipe(); CLUSTER_NONE if
 * there is no such file; or ERR_CONFIG with a sentence for the log in why[0..size) that holds no
 * secret: the file cannot be read or is invalid. */
int cluster_find(const struct config *config, const char *name, struct cluster *ret, char *why, size_t size);

/* Reads the cluster files, credentials first, then in the byte order of their names, until one
 * lists console's host with its port. *ret then has this host only. Returns as cluster_find(). */
int cluster_find_host(const struct config *config, const struct console *console, struct cluster *ret, char *why,
		      size_t size);

/* Returns the cluster's host with that name or address and port, or NULL. 0 as a port, in either of
 * both, is PROXXY_UPSTREAM_PORT. */
const struct cluster_host *cluster_host(const struct config *config, const struct cluster *cluster, const char *host,
					uint16_t port);

/* Makes the host that of the console. */
void cluster_use_host(const struct cluster_host *host, struct console *console);

/* Reads all cluster files into *cluster, one after the other: credentials first, then those of the
 * directory in the byte order of their names. Calls use(argument, path, cluster) for each, until a
 * call does not return CLUSTER_NONE. Wipes *cluster unless it returned CLUSTER_FOUND.
 * Returns the last call's result, or ERR_CONFIG as cluster_find(). */
typedef int cluster_use(void *argument, const char *path, struct cluster *cluster);
int cluster_each(const struct config *config, cluster_use *use, void *argument, struct cluster *cluster, char *why,
		 size_t size);

/* Reads the file at path into *cluster, for its ca_file, and wipes the token. Returns false if it
 * cannot be read or is no cluster file: cluster_find() says why. */
bool cluster_load_ca_file(const char *path, struct cluster *cluster);

/* Overwrites the token. */
void cluster_wipe(struct cluster *cluster);

#endif
