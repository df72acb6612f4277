/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the kernel for the address of the client; proxxy-conn.c calls it. The environment is not
 * used: only systemd and xinetd set it, each in its own way.
 */
#include "session/client.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/host.h"
#include "lib/list.h"

/* True if an item of list, PROXXY_TRUSTED_PROXIES, contains address, or is "unix" if address is. */
static bool is_trusted(const char *list, const char *address)
{
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len))) {
		char network[CLIENT_NAME_MAX];

		snprintf(network, sizeof(network), "%.*s", (int)len, item);
		if (strcmp(network, address) == 0 ||
		    (strcmp(network, "unix") != 0 && *address && host_in_network(network, address)))
			return true;
	}
	return false;
}

/* Writes the address of a socket's peer. Leaves *ret_client as it is if it is no IP address. */
static void set_address(const struct sockaddr_storage *address, socklen_t len, struct client *ret_client)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	const char *text = host;

	if (getnameinfo((const struct sockaddr *)address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.'))
		text += 7;
	snprintf(ret_client->address, sizeof(ret_client->address), "%.45s", text);
	snprintf(ret_client->peer, sizeof(ret_client->peer), strchr(text, ':') ? "[%.45s]:%.5s" : "%.45s:%.5s", text,
		 port);
	memcpy(ret_client->name, ret_client->peer, sizeof(ret_client->name));
}

void client_of_socket(int fd, const struct config *config, struct client *ret_client)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);

	*ret_client = (struct client){ .peer = "unknown" };
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return;
	if (address.ss_family == AF_UNIX) {
		snprintf(ret_client->peer, sizeof(ret_client->peer), "unix");
		ret_client->peer_is_trusted = is_trusted(config->trusted_proxies, "unix");
	} else if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
		set_address(&address, len, ret_client);
		ret_client->peer_is_trusted = is_trusted(config->trusted_proxies, ret_client->address);
		ret_client->is_proxy = ret_client->peer_is_trusted;
	}
}
