/* SPDX-License-Identifier: Apache-2.0
 *
 * Resolves names and connects to Proxmox.
 */
#include "session/dial.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/host.h"
#include "session/connect.h"
#include "session/resolve.h"
#include "session/upstream.h"

/* Connects to one address. Returns 0 with u->endpoint, ERR_UPSTREAM_CONNECT with the errno in
 * *ret_errno, or as io_wait(). */
static int use_address(struct upstream *u, const struct addrinfo *a, int64_t deadline, int *ret_errno)
{
	int fd, rc = connect_address(a, u->client, deadline, &fd, ret_errno);

	if (rc == OK && *ret_errno == 0)
		u->endpoint = io_endpoint(fd, NULL);
	return rc == OK && *ret_errno != 0 ? ERR_UPSTREAM_CONNECT : rc;
}

/* True if the session may connect to that address of its host. This is the check after DNS:
 * access.c could check only the host as the payload writes it. */
static bool is_allowed(const struct upstream *u, const struct addrinfo *a, enum host_verdict verdict)
{
	return *u->access->cluster.name || host_address_allowed(u->config->allowed_hosts, a->ai_addr, verdict);
}

/* Tries the allowed addresses, in the order of RFC 6724, until one accepts the connection. Each
 * address gets an equal share of the time that is left. */
static int connect_any(struct upstream *u, const struct addrinfo *addresses, int64_t deadline)
{
	const enum host_verdict verdict = host_list_judge(u->config->allowed_hosts, u->console->host);
	int left = 0, error = 0, rc;

	for (const struct addrinfo *a = addresses; a && left < DIAL_ADDRESSES_MAX; a = a->ai_next)
		left += is_allowed(u, a, verdict);
	if (left == 0)
		return upstream_fail(u, ERR_HOST_FORBIDDEN, "not in PROXXY_ALLOWED_HOSTS");
	for (const struct addrinfo *a = addresses; a && left > 0; a = a->ai_next) {
		int64_t now = io_now();

		if (!is_allowed(u, a, verdict))
			continue;
		rc = use_address(u, a, now + (deadline - now) / left--, &error);
		if (rc != ERR_UPSTREAM_CONNECT)
			return upstream_map_wait(u, rc, "");
	}
	if (error == ETIMEDOUT)
		return upstream_fail(u, ERR_UPSTREAM_TIMEOUT, "it does not answer at all");
	return upstream_fail(u, ERR_UPSTREAM_CONNECT, "%s", strerror(error));
}

/* Resolves and connects to u->console's host before the deadline. Returns as dial_proxmox(). */
static int dial_host(struct upstream *u, int64_t deadline)
{
	struct console *c = u->console;
	struct addrinfo *addresses = NULL;
	const char *why = "";
	int rc;

	u->port = c->host_port ? c->host_port : (uint16_t)u->config->upstream_port;
	rc = resolve(c, u->port, u->client, deadline, &addresses, &why);
	if (rc == ERR_UPSTREAM_RESOLVE)
		return upstream_fail(u, rc, "%s", why);
	rc = upstream_map_wait(u, rc, "its name is still not resolved");
	if (rc == OK)
		rc = connect_any(u, addresses, deadline);
	if (addresses)
		freeaddrinfo(addresses);
	return rc;
}

static bool is_unreachable(int code)
{
	return code == ERR_UPSTREAM_RESOLVE || code == ERR_UPSTREAM_CONNECT || code == ERR_UPSTREAM_TIMEOUT;
}

int dial_proxmox(struct upstream *u)
{
	const struct cluster *cluster = &u->access->cluster;
	const size_t n = *cluster->name ? cluster->n_hosts : 0;
	char details[sizeof(u->detail)] = "";
	size_t used = 0;
	int rc = OK;

	if (n == 0)
		return dial_host(u, u->deadline);
	for (size_t i = 0; i < n; i++) {
		const int64_t now = io_now();

		cluster_use_host(&cluster->hosts[i], u->console);
		rc = dial_host(u, now + (u->deadline - now) / (int64_t)(n - i));
		if (!is_unreachable(rc))
			return rc;
		if (used < sizeof(details))
			used += (size_t)snprintf(details + used, sizeof(details) - used, "%s%s", i > 0 ? "; " : "",
						 u->detail);
	}
	if (n > 1) {
		upstream_fail(u, rc, "none of the cluster's %zu hosts can be reached", n);
		memcpy(u->detail, details, sizeof(u->detail));
	}
	return rc;
}
