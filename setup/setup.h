/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps of proxxy-setup share: the options, the connection to Proxmox, what was found out
 * about the cluster, and what goes into the cluster file.
 */
#ifndef PROXXY_SETUP_H
#define PROXXY_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/cluster.h"
#include "lib/config.h"
#include "lib/curl_api.h"
#include "setup/certificate.h"
#include "setup/options.h"

enum {
	SETUP_CA_MAX = 16 * 1024,           /* bytes of pve-root-ca.pem; it has 2 KiB */
	SETUP_ANSWER_MAX = 4 * 1024 * 1024, /* bytes of an answer; 10,000 guests take 3 MiB */
	SETUP_NAME_MAX = KEY_NAME_MAX + 1,  /* bytes of a cluster file's name, with its NUL */
	SETUP_SECRET_MAX = 1024,            /* bytes of a password or token, with its NUL */
	SETUP_FILE_MAX = 512,               /* bytes of a path, with its NUL */
};

/* The group that may read cluster files. */
#define SETUP_GROUP "proxxy"

/* Names in Proxmox's access control. */
#define SETUP_ROLE "ProxxyConsole"
#define SETUP_PRIVILEGES "VM.Audit,VM.Console" /* as Proxmox sorts them */
#define SETUP_USER "proxxy@pve"

/* How a session is to verify the certificates of the cluster's hosts. */
enum setup_trust {
	SETUP_TRUST_CA,           /* CA_FILE: the cluster's own CA */
	SETUP_TRUST_SYSTEM,       /* neither: the CAs of the system */
	SETUP_TRUST_FINGERPRINTS, /* FINGERPRINTS */
};

/* The large members come last. */
struct setup {
	struct setup_options options;
	struct certificate certificate;  /* of HOST; every later connection to it accepts no other one */
	struct api api;                  /* HOST, as the administrator */
	unsigned int group;              /* the gid of the group proxxy, which may read cluster files */
	char machine[65];                /* this machine's host name */
	char token[SETUP_SECRET_MAX];    /* secret; that goes into the cluster file, USER@REALM!NAME=SECRET */
	char node[CONSOLE_HOST_MAX + 1]; /* of HOST */
	char name[SETUP_NAME_MAX];       /* of the cluster file */
	char file[SETUP_FILE_MAX], ca_file[SETUP_FILE_MAX]; /* paths: NAME.conf, NAME.pem */
	enum setup_trust trust;
	struct cluster before;  /* the cluster file as it was; its name is "" if there was none */
	struct cluster cluster; /* the hosts and fingerprints that go into the cluster file */
	char ca[SETUP_CA_MAX];  /* the cluster's CA in PEM */
	struct config config;   /* of sessions */
	char answer[SETUP_ANSWER_MAX];
};

#endif
