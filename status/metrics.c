/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers with proxxy's counters, which systemd has. proxxy-status.c calls it.
 */
#include "status/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "status/bus.h"

enum { METRICS_MAX = 2048 }; /* bytes of all metrics, with the NUL */

/* systemd's counters since the activation of proxxy.socket. */
struct counters {
	bool listening;
	uint64_t since, uptime;             /* Unix time of the activation, and seconds since; 0 if not listening */
	uint32_t accepted, active, refused; /* connections */
};

/* Reads all counters to *ret. Returns >= 0, or a negative errno. */
static int get_counters(sd_bus *bus, struct counters *ret)
{
	struct counters c = { 0 };
	char *path = NULL, *state = NULL;
	uint64_t entered = 0;
	int rc = sd_bus_path_encode(MANAGER_PATH "/unit", "proxxy.socket", &path);

	if (rc >= 0)
		rc = bus_text(bus, path, UNIT_INTERFACE, "ActiveState", &state);
	if (rc >= 0)
		rc = bus_number(bus, path, UNIT_INTERFACE, "ActiveEnterTimestamp", 't', &entered);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "NAccepted", 'u', &c.accepted);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "NConnections", 'u', &c.active);
	if (rc >= 0)
		rc = bus_number(bus, path, SOCKET_INTERFACE, "NRefused", 'u', &c.refused);
	if (rc >= 0) {
		const time_t now = time(NULL);

		c.listening = strcmp(state, "active") == 0;
		if (c.listening) {
			c.since = entered / 1000000;
			c.uptime = now > (time_t)c.since ? (uint64_t)now - c.since : 0;
		}
		*ret = c;
	}
	free(state);
	free(path);
	return rc;
}

struct answer metrics_answer_status(sd_bus *bus)
{
	json_object *object;
	struct counters c;
	int rc = get_counters(bus, &c);

	if (rc < 0)
		return answer_unavailable(rc);
	object = json_object_new_object();
	json_object_object_add(object, "uptime", json_object_new_int64((int64_t)c.uptime));
	json_object_object_add(object, "accepted", json_object_new_int64(c.accepted));
	json_object_object_add(object, "active", json_object_new_int64(c.active));
	json_object_object_add(object, "refused", json_object_new_int64(c.refused));
	return answer_json(object);
}

struct answer metrics_answer(sd_bus *bus)
{
	static const char format[] =
		"# HELP proxxy_up Whether proxxy.socket listens.\n"
		"# TYPE proxxy_up gauge\n"
		"proxxy_up %d\n"
		"# HELP proxxy_start_time_seconds Unix time when proxxy.socket was activated, 0 if it does not "
		"listen.\n"
		"# TYPE proxxy_start_time_seconds gauge\n"
		"proxxy_start_time_seconds %" PRIu64 "\n"
		"# HELP proxxy_sessions Connections that are open.\n"
		"# TYPE proxxy_sessions gauge\n"
		"proxxy_sessions %" PRIu32 "\n"
		"# HELP proxxy_connections_accepted_total Connections accepted since the activation.\n"
		"# TYPE proxxy_connections_accepted_total counter\n"
		"proxxy_connections_accepted_total %" PRIu32 "\n"
		"# HELP proxxy_connections_refused_total Connections refused by the limits of proxxy.socket.\n"
		"# TYPE proxxy_connections_refused_total counter\n"
		"proxxy_connections_refused_total %" PRIu32 "\n";
	char *body = malloc(METRICS_MAX);
	struct counters c;
	int rc = get_counters(bus, &c);

	if (rc < 0 || !body) {
		free(body);
		return answer_unavailable(rc);
	}
	snprintf(body, METRICS_MAX, format, c.listening, c.since, c.active, c.accepted, c.refused);
	return (struct answer){ 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", body };
}
