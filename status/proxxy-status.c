/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-status: answers one HTTP request with proxxy's counters, metrics or list of sessions.
 * Health checks and Prometheus send such requests. systemd counts the connections; this program
 * asks it over D-Bus, keeps no state and needs no privilege. proxxy-status.socket starts it for
 * each connection.
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/http_exchange.h"
#include "lib/linger.h"
#include "lib/uri.h"

enum {
	REQUEST_MAX = 4096 + EXCHANGE_ROOM, /* bytes of a request's head; Prometheus sends about 300 */
	REQUEST_TIMEOUT_MS = 5000,          /* for the whole request */
	BUS_TIMEOUT_US = 5 * 1000 * 1000,   /* for systemd's answer to one call */
	SESSIONS_MAX = 4096,                /* sessions in the list; proxxy.slice allows as many tasks */
	METRICS_MAX = 2048,                 /* bytes of all metrics, with the NUL */
};

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNIT_INTERFACE MANAGER ".Unit"
#define SOCKET_INTERFACE MANAGER ".Socket"
#define SERVICE_INTERFACE MANAGER ".Service"

struct answer {
	int status;
	const char *extra; /* header lines that each end in CRLF */
	char *body;        /* owned */
};

/* systemd's counters since the activation of proxxy.socket. */
struct counters {
	bool listening;
	uint64_t since, uptime;             /* Unix time of the activation, and seconds since; 0 if not listening */
	uint32_t accepted, active, refused; /* connections */
};

/* --- queries to systemd ------------------------------------------------------------------- */

/* Reads a property whose D-Bus type is type to *ret. Returns >= 0, or a negative errno. */
static int get_number(sd_bus *bus, const char *path, const char *interface, const char *name, char type, void *ret)
{
	return sd_bus_get_property_trivial(bus, MANAGER, path, interface, name, NULL, type, ret);
}

/* Reads all counters to *ret. Returns >= 0, or a negative errno. */
static int get_counters(sd_bus *bus, struct counters *ret)
{
	struct counters c = { 0 };
	char *path = NULL, *state = NULL;
	uint64_t entered = 0;
	int rc = sd_bus_path_encode(MANAGER_PATH "/unit", "proxxy.socket", &path);

	if (rc >= 0)
		rc = sd_bus_get_property_string(bus, MANAGER, path, UNIT_INTERFACE, "ActiveState", NULL, &state);
	if (rc >= 0)
		rc = get_number(bus, path, UNIT_INTERFACE, "ActiveEnterTimestamp", 't', &entered);
	if (rc >= 0)
		rc = get_number(bus, path, SOCKET_INTERFACE, "NAccepted", 'u', &c.accepted);
	if (rc >= 0)
		rc = get_number(bus, path, SOCKET_INTERFACE, "NConnections", 'u', &c.active);
	if (rc >= 0)
		rc = get_number(bus, path, SOCKET_INTERFACE, "NRefused", 'u', &c.refused);
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

/* Adds one session to list. Omits a session that has ended since the list was made. */
static void add_session(sd_bus *bus, json_object *list, const char *unit, const char *path)
{
	json_object *session;
	uint64_t since;
	uint32_t pid;
	char *status;

	if (get_number(bus, path, UNIT_INTERFACE, "ActiveEnterTimestamp", 't', &since) < 0 ||
	    get_number(bus, path, SERVICE_INTERFACE, "MainPID", 'u', &pid) < 0 || pid == 0 ||
	    sd_bus_get_property_string(bus, MANAGER, path, SERVICE_INTERFACE, "StatusText", NULL, &status) < 0)
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

/* --- answers ------------------------------------------------------------------------------ */

/* Frees object. Returns it as JSON text, which the caller frees, or NULL without memory. */
static char *to_text(json_object *object)
{
	char *text =
		strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(object);
	return text;
}

static struct answer error_answer(int status, const char *extra, const char *words)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "error", json_object_new_string(words));
	json_object_object_add(object, "code", json_object_new_int(status));
	json_object_object_add(object, "issues", json_object_new_array());
	return (struct answer){ status, extra, to_text(object) };
}

/* Logs the negative errno rc. Returns a 503. */
static struct answer unavailable(int rc)
{
	fprintf(stderr, "systemd cannot be queried: %s\n", strerror(-rc));
	return error_answer(503, "", "systemd cannot be queried");
}

static struct answer answer_status(sd_bus *bus)
{
	json_object *object;
	struct counters c;
	int rc = get_counters(bus, &c);

	if (rc < 0)
		return unavailable(rc);
	object = json_object_new_object();
	json_object_object_add(object, "uptime", json_object_new_int64((int64_t)c.uptime));
	json_object_object_add(object, "accepted", json_object_new_int64(c.accepted));
	json_object_object_add(object, "active", json_object_new_int64(c.active));
	json_object_object_add(object, "refused", json_object_new_int64(c.refused));
	return (struct answer){ 200, "", to_text(object) };
}

/* Answers in Prometheus' text format, version 0.0.4. */
static struct answer answer_metrics(sd_bus *bus)
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
		return unavailable(rc);
	}
	snprintf(body, METRICS_MAX, format, c.listening, c.since, c.active, c.accepted, c.refused);
	return (struct answer){ 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", body };
}

static struct answer answer_sessions(sd_bus *bus)
{
	json_object *list = json_object_new_array();
	int rc = get_sessions(bus, list);

	if (rc < 0) {
		json_object_put(list);
		return unavailable(rc);
	}
	return (struct answer){ 200, "", to_text(list) };
}

static const struct {
	const char *path;
	struct answer (*answer)(sd_bus *bus);
	bool unix_only; /* it names clients and guests, and all users of this machine can use TCP */
} routes[] = {
	{ "/api/status", answer_status, false },
	{ "/api/sessions", answer_sessions, true },
	{ "/metrics", answer_metrics, false },
};

/* Returns true if the connection came over the UNIX socket, whose mode limits who can connect. */
static bool is_unix_socket(void)
{
	int domain;
	socklen_t len = sizeof(domain);

	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

static struct answer route(const struct http_request *request)
{
	const struct slice path = uri_path(request->target);

	if (!exchange_accepts_method(request))
		return error_answer(405, EXCHANGE_ALLOW, error_info(ERR_METHOD)->words);
	if (slice_is(request->method, "OPTIONS"))
		return (struct answer){ 204, EXCHANGE_ALLOW, strdup("") };
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct answer answer;
		sd_bus *bus = NULL;
		int rc;

		if (!slice_is(path, routes[i].path))
			continue;
		if (routes[i].unix_only && !is_unix_socket())
			return error_answer(403, "", "Only on the UNIX socket /run/proxxy-status.sock");
		rc = sd_bus_open_system(&bus);
		if (rc >= 0)
			rc = sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_US);
		answer = rc < 0 ? unavailable(rc) : routes[i].answer(bus);
		sd_bus_flush_close_unref(bus);
		return answer;
	}
	return error_answer(404, "", "Not found. There are /api/status, /api/sessions and /metrics");
}

/* --- connection --------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct http_request request = { 0 };
	char head[REQUEST_MAX];
	struct endpoint client;
	struct answer answer;
	size_t len, used;
	int rc;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("proxxy-status " PROXXY_VERSION) < 0;
	if (argc != 1 || io_prepare(STDIN_FILENO) < 0) {
		fputs("Usage: proxxy-status\n"
		      "Answers one HTTP request on the socket at fd 0 with proxxy's counters, metrics or sessions.\n"
		      "proxxy-status.socket starts it. Manual: proxxy-status(8)\n",
		      stderr);
		return EX_USAGE;
	}
	client = io_endpoint(STDIN_FILENO, NULL);
	rc = exchange_read(&client, NULL, head, sizeof(head), io_now() + REQUEST_TIMEOUT_MS, &request, &len, &used);
	if (rc == ERR_CLIENT_GONE)
		return EX_OK;
	answer = rc < 0 ? error_answer(error_info(rc)->http_status, "", error_info(rc)->words) : route(&request);
	if (!answer.body)
		return EX_OSERR;
	exchange_answer(&client, answer.status, answer.extra, answer.body, exchange_wants_body(&request));
	free(answer.body);
	linger(&client, NULL, io_now() + LINGER_MS);
	return EX_OK;
}
