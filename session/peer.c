/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the kernel for the address of the client; proxxy-conn.c calls it. The environment is not
 * used: only systemd and xinetd set it, each in its own way.
 */
#include "session/peer.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void peer_name(int fd, char ret_address[INET6_ADDRSTRLEN], char *name, size_t size)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];
	const char *text = host;

	ret_address[0] = '\0';
	snprintf(name, size, "unknown");
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0 ||
	    (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
	    getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.'))
		text += 7;
	snprintf(ret_address, INET6_ADDRSTRLEN, "%.45s", text);
	snprintf(name, size, strchr(text, ':') ? "[%.45s]:%.5s" : "%.45s:%.5s", text, port);
}
