/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers with the sessions that systemd runs. proxxy-status.c calls it.
 */
#include "status/sessions.h"

#include <stdlib.h>

#include "status/bus.h"

enum { SESSIONS_MAX = 4096 }; /* sessions in the list; proxxy.slice allows as many tasks */

/* Adds one session to list. Omits a session that has ended since the list was made. */
static void add_session(sd_bus *bus, json_object *list, const char *unit, const char *path)
{
	json_object *session;
	uint64_t since;
	uint32_t pid;
	char *status;

	if (bus_number(bus, path, UNIT_INTERFACE, "ActiveEnterTimestamp", 't', &since) < 0 ||
	    bus_number(bus, path, SERVICE_INTERFACE, "MainPID", 'u', &pid) < 0 || pid == 0 ||
	    bus_text(bus, path, SERVICE_INTERFACE, "StatusText", &status) < 0)
		return;
	session = json_object_new_object();
	json_object_object_add(session, "unit", json_object_new_string(unit));
	json_object_object_add(session, "pid", json_object_new_int64(pid));
	json_object_object_add(session, "since", json_object_new_int64((int64_t)(since / 1000000)));
	json_object_object_add(session, "status", json_object_new_string(status));
	json_object_array_add(list, session);
	free(status);
}

/* Adds the running instances of proxxy@.service to list. Returns >= 0, or a negative errno. */
static int get_sessions(sd_bus *bus, json_object *list)
{
	sd_bus_message *reply = NULL;
	const char *unit, *path;
	int rc = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER ".Manager", "ListUnitsByPatterns", NULL, &reply,
				    "asas", 1, "active", 1, "proxxy@*.service");

	if (rc >= 0)
		rc = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
	while (rc >= 0 && json_object_array_length(list) < SESSIONS_MAX &&
	       (rc = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, NULL, NULL, NULL, NULL, &path, NULL, NULL,
					 NULL)) > 0)
		add_session(bus, list, unit, path);
	sd_bus_message_unref(reply);
	return rc;
}

struct answer sessions_answer(sd_bus *bus)
{
	json_object *list = json_object_new_array();
	int rc = get_sessions(bus, list);

	if (rc < 0) {
		json_object_put(list);
		return answer_unavailable(rc);
	}
	return answer_json(list);
}
