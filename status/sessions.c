/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers with the sessions that systemd runs. proxxy-status.c calls it. The properties of many
 * units are requested at once: one after the other, each would cost a round trip through D-Bus.
 */
#include "status/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "status/bus.h"
#include "status/session_text.h"

enum {
	SESSIONS_MAX = 4096,            /* sessions in the list; proxxy.slice allows as many tasks */
	CALLS_MAX = 64,                 /* calls without an answer; dbus-daemon allows 128 */
	LIST_TIMEOUT_US = 20 * 1000000, /* for all of the list; the unit's RuntimeMaxSec= is 60 s */
	VMID_DIGITS_MAX = 10,           /* of a 32-bit number */
};

#define PROPERTIES "org.freedesktop.DBus.Properties"

/* One session. Its texts are parts of the messages. */
struct entry {
	struct query *query;
	const char *unit, *path;
	uint64_t since; /* Unix time in microseconds */
	uint32_t pid;   /* 0 if it has ended since the list was made */
	char *status;   /* owned; NULL if it has ended */
};

/* A list that is being made. */
struct query {
	struct entry *entries; /* owned */
	size_t n, calls;       /* entries; calls that were sent for them */
	size_t waiting;        /* calls without an answer */
};

/* --- queries to systemd ------------------------------------------------------------------- */

/* Reads the answer to a Get of a property of that type. Returns > 0, or <= 0 if there is no
 * value. */
static int read_answer(sd_bus_message *m, struct entry *entry, char type, void *ret)
{
	const char contents[] = { type, '\0' };

	entry->query->waiting--;
	if (sd_bus_message_is_method_error(m, NULL))
		return 0;
	return sd_bus_message_enter_container(m, 'v', contents) > 0 ? sd_bus_message_read_basic(m, type, ret) : 0;
}

static int on_pid(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct entry *entry = userdata;

	(void)error;
	read_answer(m, entry, 'u', &entry->pid);
	return 0;
}

static int on_since(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct entry *entry = userdata;

	(void)error;
	read_answer(m, entry, 't', &entry->since);
	return 0;
}

static int on_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct entry *entry = userdata;
	const char *status;

	(void)error;
	if (read_answer(m, entry, 's', (void *)&status) > 0)
		entry->status = strdup(status);
	return 0;
}

/* What is asked about each session. Not all properties at once (GetAll): systemd has over 200 of
 * them, and reads some from the kernel. */
static const struct {
	const char *interface, *name;
	sd_bus_message_handler_t on_answer;
} properties[] = {
	{ SERVICE_INTERFACE, "MainPID", on_pid },
	{ UNIT_INTERFACE, "ActiveEnterTimestamp", on_since },
	{ SERVICE_INTERFACE, "StatusText", on_status },
};
enum { N_PROPERTIES = sizeof(properties) / sizeof(properties[0]) };

/* Sends calls while there may be more of them. Returns >= 0, or a negative errno. */
static int send_calls(sd_bus *bus, struct query *q)
{
	for (; q->waiting < CALLS_MAX && q->calls < q->n * N_PROPERTIES; q->calls++, q->waiting++) {
		const size_t what = q->calls % N_PROPERTIES;
		struct entry *entry = &q->entries[q->calls / N_PROPERTIES];
		int rc = sd_bus_call_method_async(bus, NULL, MANAGER, entry->path, PROPERTIES, "Get",
						  properties[what].on_answer, entry, "ss", properties[what].interface,
						  properties[what].name);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Asks systemd about all entries. Returns >= 0, or a negative errno. */
static int ask(sd_bus *bus, struct query *q)
{
	const uint64_t deadline = now_us() + LIST_TIMEOUT_US;

	for (;;) {
		int rc = send_calls(bus, q);
		const uint64_t now = now_us();

		if (rc < 0 || q->waiting == 0)
			return rc;
		if (now >= deadline)
			return -ETIMEDOUT;
		rc = sd_bus_process(bus, NULL);
		if (rc == 0)
			rc = sd_bus_wait(bus, deadline - now);
		if (rc < 0)
			return rc;
	}
}

/* Reads the running instances of proxxy@.service from the answer list. Returns >= 0, or a negative
 * errno. */
static int read_list(sd_bus_message *list, struct query *q)
{
	struct entry entry = { .query = q };
	int rc = sd_bus_message_enter_container(list, 'a', "(ssssssouso)");

	q->entries = calloc(SESSIONS_MAX, sizeof(*q->entries));
	if (!q->entries)
		return -ENOMEM;
	while (rc >= 0 && q->n < SESSIONS_MAX &&
	       (rc = sd_bus_message_read(list, "(ssssssouso)", &entry.unit, NULL, NULL, NULL, NULL, NULL, &entry.path,
					 NULL, NULL, NULL)) > 0)
		q->entries[q->n++] = entry;
	return rc;
}

/* --- the answer --------------------------------------------------------------------------- */

static void add_text(json_object *session, const char *name, struct slice text)
{
	if (text.len)
		json_object_object_add(session, name, json_object_new_string_len(text.at, (int)text.len));
}

/* Parses a JSON string. Returns NULL if it is none, or if text is empty. */
static json_object *parse_string(struct slice text)
{
	json_tokener *tokener = json_tokener_new();
	json_object *object = NULL;

	if (tokener && text.len) {
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		object = json_tokener_parse_ex(tokener, text.at, (int)text.len);
	}
	if (tokener)
		json_tokener_free(tokener);
	return object;
}

/* Adds a JSON string if there is one. */
static void add_string(json_object *session, const char *name, struct slice text)
{
	json_object *object = parse_string(text);

	if (object)
		json_object_object_add(session, name, object);
}

/* Adds the parts of the status text, if it has the form that proxxy-conn gives it. */
static void add_parts(json_object *session, const char *status)
{
	struct session_text t;

	if (!session_parse(status, &t) || t.vmid.len > VMID_DIGITS_MAX)
		return;
	add_text(session, "type", t.type);
	json_object_object_add(session, "vmid", json_object_new_int64(strtoll(t.vmid.at, NULL, 10)));
	add_text(session, "place", t.place);
	add_text(session, "client", t.client);
	add_string(session, "sub", t.sub);
	add_string(session, "jti", t.jti);
	add_string(session, "kid", t.kid);
}

static void add_session(json_object *list, const struct entry *entry)
{
	json_object *session = json_object_new_object();

	json_object_object_add(session, "unit", json_object_new_string(entry->unit));
	json_object_object_add(session, "pid", json_object_new_int64(entry->pid));
	json_object_object_add(session, "since", json_object_new_int64((int64_t)(entry->since / 1000000)));
	json_object_object_add(session, "status", json_object_new_string(entry->status));
	add_parts(session, entry->status);
	json_object_array_add(list, session);
}

/* Returns the Date field (RFC 9110 section 6.6.1). The page computes from it how long sessions
 * last, if the browser's clock is wrong. */
static const char *date_field(void)
{
	static char field[64];
	const time_t now = time(NULL);
	struct tm utc;

	if (!gmtime_r(&now, &utc) || !strftime(field, sizeof(field), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc))
		return "";
	return field;
}

struct answer sessions_answer(sd_bus *bus)
{
	json_object *list = json_object_new_array();
	sd_bus_message *reply = NULL;
	struct query q = { 0 };
	struct answer answer;
	int rc = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER ".Manager", "ListUnitsByPatterns", NULL, &reply,
				    "asas", 1, "active", 1, "proxxy@*.service");

	if (rc >= 0)
		rc = read_list(reply, &q);
	if (rc >= 0)
		rc = ask(bus, &q);
	for (size_t i = 0; i < q.n; i++) {
		if (rc >= 0 && q.entries[i].pid && q.entries[i].status)
			add_session(list, &q.entries[i]);
		free(q.entries[i].status);
	}
	free(q.entries);
	sd_bus_message_unref(reply);
	if (rc < 0) {
		json_object_put(list);
		return answer_unavailable(rc);
	}
	answer = answer_json(list);
	answer.extra = date_field();
	return answer;
}
