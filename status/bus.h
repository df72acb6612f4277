/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries to systemd over D-Bus: the names of its objects, and the properties of a unit.
 */
#ifndef PROXXY_STATUS_BUS_H
#define PROXXY_STATUS_BUS_H

#include <systemd/sd-bus.h>

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_INTERFACE MANAGER ".Unit"
#define SOCKET_INTERFACE MANAGER ".Socket"
#define SERVICE_INTERFACE MANAGER ".Service"

/* Connects to the system bus. *ret_bus is set on success; the caller closes it with
 * sd_bus_flush_close_unref(). Returns >= 0, or a negative errno. */
int bus_open(sd_bus **ret_bus);

/* Reads a property whose D-Bus type is type to *ret. Returns >= 0, or a negative errno. */
int bus_number(sd_bus *bus, const char *path, const char *interface, const char *name, char type, void *ret);

/* Reads a text property to *ret, which the caller frees. Returns >= 0, or a negative errno. */
int bus_text(sd_bus *bus, const char *path, const char *interface, const char *name, char **ret);

#endif
