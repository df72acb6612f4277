/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks systemd about proxxy.socket. metrics.c calls it.
 */
#include "status/socket_unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "status/bus.h"

int socket_unit_read(sd_bus *bus, struct socket_unit *ret)
{
	struct socket_unit u = { 0 };
	char *path = NULL, *state = NULL;
	uint64_t entered = 0;
	int rc = sd_bus_path_encode(MANAGER_PATH "/unit", "proxxy.socket", &path);

	if (rc >= 0)
		rc = bus_text(bus, path, UNIT_INTERFACE, "ActiveState", &state);
	if (rc >= 0)
		rc = bus_number(bus, path, UNIT_INTERFACE, "ActiveEnterTimestamp", 't', &entered);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "NAccepted", 'u', &u.accepted);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "NConnections", 'u', &u.active);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "NRefused", 'u', &u.refused);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "MaxConnections", 'u', &u.limit);
	if (rc >= 0) {
		const time_t now = time(NULL);

		u.listening = strcmp(state, "active") == 0;
		if (u.listening) {
			u.since = entered / 1000000;
			u.uptime = now > (time_t)u.since ? (uint64_t)now - u.since : 0;
		}
		*ret = u;
	}
	free(state);
	free(path);
	return rc;
}
