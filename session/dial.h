/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects a session to Proxmox as far as TCP: DNS, the check of the addresses, and the choice
 * among the hosts of a cluster. upstream.c calls it.
 */
#ifndef PROXXY_DIAL_H
#define PROXXY_DIAL_H

struct upstream;

enum { DIAL_ADDRESSES_MAX = 8 }; /* addresses of one name that are tried */

/* Connects to the console's host, or, if the payload names a cluster, to the first of the cluster's
 * hosts that accepts the connection: u->console then has this host. Each host, and each of its
 * addresses, gets an equal share of the time to u->deadline, so that one that does not answer
 * leaves time for the next. Sends and reads nothing. PROXXY_ALLOWED_HOSTS does not apply to hosts
 * of a cluster file.
 * Returns 0 with u->endpoint and u->port; ERR_HOST_FORBIDDEN, ERR_UPSTREAM_RESOLVE, _CONNECT or
 * _TIMEOUT, each with u->reason and u->detail, which names each host that failed; ERR_CLIENT_GONE,
 * END_TERMINATED or ERR_SYSTEM. */
int dial_proxmox(struct upstream *u);

#endif
