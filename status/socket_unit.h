/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd counts of proxxy.socket.
 */
#ifndef PROXXY_STATUS_SOCKET_UNIT_H
#define PROXXY_STATUS_SOCKET_UNIT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* The counters begin when proxxy.socket is activated. */
struct socket_unit {
	bool listening;
	uint64_t since, uptime;             /* Unix time of the activation, and seconds since; 0 if not listening */
	uint32_t accepted, active, refused; /* connections */
	uint32_t limit;                     /* MaxConnections= */
};

/* Reads all members to *ret. Returns >= 0, or a negative errno. */
int socket_unit_read(sd_bus *bus, struct socket_unit *ret);

#endif
