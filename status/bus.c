/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries systemd over D-Bus. metrics.c and sessions.c call it.
 */
#include "status/bus.h"

enum { BUS_TIMEOUT_US = 5 * 1000 * 1000 }; /* for systemd's answer to one call */

int bus_open(sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int rc = sd_bus_open_system(&bus);

	if (rc >= 0)
		rc = sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_US);
	if (rc >= 0)
		*ret_bus = bus;
	else
		sd_bus_flush_close_unref(bus);
	return rc;
}

int bus_number(sd_bus *bus, const char *path, const char *interface, const char *name, char type, void *ret)
{
	return sd_bus_get_property_trivial(bus, MANAGER, path, interface, name, NULL, type, ret);
}

int bus_text(sd_bus *bus, const char *path, const char *interface, const char *name, char **ret)
{
	return sd_bus_get_property_string(bus, MANAGER, path, interface, name, NULL, ret);
}
