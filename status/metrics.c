/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers with proxxy's counters. proxxy-status.c calls it.
 */
#include "status/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/counters_file.h"
#include "lib/error.h"
#include "status/processes.h"
#include "status/report.h"
#include "status/socket_unit.h"

enum {
	METRICS_MAX = 32 * 1024, /* bytes of all metrics, with the NUL; they have about 9,000 */
	SESSIONS_DIGITS_MAX = 9, /* of PROXXY_MAX_SESSIONS */
};

#define STATE_DIRECTORY "/var/lib/proxxy" /* as lib/config.c's */

struct answer metrics_answer_status(sd_bus *bus)
{
	json_object *object;
	struct socket_unit u;
	int rc = socket_unit_read(bus, &u);

	if (rc < 0)
		return answer_unavailable(rc);
	object = json_object_new_object();
	json_object_object_add(object, "uptime", json_object_new_int64((int64_t)u.uptime));
	json_object_object_add(object, "accepted", json_object_new_int64(u.accepted));
	json_object_object_add(object, "active", json_object_new_int64(u.active));
	json_object_object_add(object, "refused", json_object_new_int64(u.refused));
	return answer_json(object);
}

/* --- Prometheus' text format -------------------------------------------------------------- */

struct text {
	char *at;         /* METRICS_MAX bytes */
	size_t len;       /* without the NUL */
	const char *name; /* of the metric that is being written */
};

/* Adds text; drops what does not fit. */
static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	const size_t room = METRICS_MAX - t->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->at + t->len, room, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < room)
		t->len += (size_t)n;
	else
		t->at[t->len] = '\0';
}

/* Begins a metric. */
static void begin(struct text *t, const char *name, const char *type, const char *help)
{
	t->name = name;
	add(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct text *t, uint64_t value)
{
	add(t, "%s %" PRIu64 "\n", t->name, value);
}

static void labelled(struct text *t, const char *label, const char *value, uint64_t number)
{
	add(t, "%s{%s=\"%s\"} %" PRIu64 "\n", t->name, label, value, number);
}

static void gauge(struct text *t, const char *name, uint64_t value, const char *help)
{
	begin(t, name, "gauge", help);
	sample(t, value);
}

static void counter(struct text *t, const char *name, uint64_t value, const char *help)
{
	begin(t, name, "counter", help);
	sample(t, value);
}

/* Prometheus' buckets are cumulative. Their sum may wrap if the file's numbers are hostile. */
static void histogram(struct text *t, const char *name, const struct counters_histogram *h, const uint32_t bounds[],
		      const char *help)
{
	uint64_t below = 0;

	begin(t, name, "histogram", help);
	for (size_t i = 0; i < COUNTERS_BOUNDS; i++)
		add(t, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i] / 1000.0, below += h->buckets[i]);
	below += h->buckets[COUNTERS_BOUNDS];
	add(t, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, below);
	add(t, "%s_sum %" PRIu64 ".%03d\n", name, h->sum_ms / 1000, (int)(h->sum_ms % 1000));
	add(t, "%s_count %" PRIu64 "\n", name, below);
}

/* --- what there is ------------------------------------------------------------------------ */

/* True for the codes that a request can be refused with. They are there from the beginning with 0,
 * because Prometheus sees no increase in a counter's first value. */
static bool can_refuse(int code)
{
	return error_info(code)->http_status >= 400;
}

/* True for the codes that a session can end with. */
static bool can_end(int code)
{
	return error_info(code)->http_status == 0 || code == END_TERMINATED || code == ERR_SYSTEM;
}

/* Writes a counter for each outcome. Codes that this version does not know count as "internal", the
 * name that error_info() has for them. */
static void outcomes(struct text *t, const char *label, const uint64_t counts[COUNTERS_CODES], bool (*is_usual)(int))
{
	const struct error_info *unknown = error_info(1);
	uint64_t others = counts[COUNTERS_OTHER];

	for (int i = 0; i < COUNTERS_OTHER; i++) {
		const struct error_info *info = error_info(-i);

		if (info == unknown)
			others += counts[i];
		else if (counts[i] > 0 || is_usual(-i))
			labelled(t, label, info->name, counts[i]);
	}
	labelled(t, label, unknown->name, others);
}

/* Writes what sessions have counted. */
static void add_counters(struct text *t, const struct counters *c)
{
	counter(t, "proxxy_sessions_opened_total", c->opened, "Consoles that were opened.");
	begin(t, "proxxy_requests_refused_total", "counter",
	      "Requests that were answered with an error, by the error.");
	outcomes(t, "reason", c->refused, can_refuse);
	begin(t, "proxxy_sessions_ended_total", "counter",
	      "Sessions that ended, with or without a console, by the outcome.");
	outcomes(t, "outcome", c->ended, can_end);
	begin(t, "proxxy_bytes_total", "counter",
	      "Payload bytes that were relayed: up to the console, down to the client.");
	labelled(t, "direction", "up", c->bytes_up);
	labelled(t, "direction", "down", c->bytes_down);
	histogram(t, "proxxy_connect_seconds", &c->connecting, counters_connecting_bounds,
		  "Time from the client's request to the open console.");
	histogram(t, "proxxy_session_duration_seconds", &c->duration, counters_duration_bounds,
		  "Duration of the ended sessions that had a console.");
}

/* Reads the counters' file and writes its metrics. Before the first session there is none: then all
 * counters are 0. If it cannot be read, logs that, and leaves its metrics out. */
static void add_file(struct text *t, const char *directory)
{
	struct counters c;
	const int rc = counters_file_read(directory, &c);

	if (rc == -ENOENT)
		counters_init(&c);
	if (rc == 0 || rc == -ENOENT)
		add_counters(t, &c);
	else
		report("%s/" COUNTERS_NAME " cannot be read: %s", directory,
		       rc == -EINVAL ? "not a file of this version" : strerror(-rc));
}

/* Writes what systemd counts. */
static void add_socket(struct text *t, const struct socket_unit *u)
{
	gauge(t, "proxxy_up", u->listening, "Whether proxxy.socket listens.");
	gauge(t, "proxxy_start_time_seconds", u->since,
	      "Unix time when proxxy.socket was activated, 0 if it does not listen.");
	gauge(t, "proxxy_sessions", u->active, "Connections that are open.");
	gauge(t, "proxxy_sessions_limit", u->limit, "Connections that may be open at once.");
	counter(t, "proxxy_connections_accepted_total", u->accepted, "Connections accepted since the activation.");
	counter(t, "proxxy_connections_refused_total", u->refused,
		"Connections refused by the limits of proxxy.socket.");
}

/* Returns PROXXY_MAX_SESSIONS of the environment, or 0 if it is not set or no number. */
static uint64_t limit_of_environment(void)
{
	const char *value = getenv("PROXXY_MAX_SESSIONS");
	const size_t digits = value ? strspn(value, "0123456789") : 0;

	return digits > 0 && digits <= SESSIONS_DIGITS_MAX && value[digits] == '\0' ? strtoull(value, NULL, 10) : 0;
}

/* Writes what can be known without systemd. */
static void add_processes(struct text *t)
{
	const int n = processes_count("proxxy-conn");
	const uint64_t limit = limit_of_environment();

	if (n >= 0)
		gauge(t, "proxxy_sessions", (uint64_t)n, "Connections that are open.");
	if (limit > 0)
		gauge(t, "proxxy_sessions_limit", limit, "Connections that may be open at once.");
}

struct answer metrics_answer(sd_bus *bus)
{
	const char *named = getenv("PROXXY_STATE_DIRECTORY"), *directory = named && *named ? named : STATE_DIRECTORY;
	struct text t = { .at = malloc(METRICS_MAX) };
	struct socket_unit u;
	const int rc = bus ? socket_unit_read(bus, &u) : 0;

	if (!t.at)
		return (struct answer){ 0 };
	if (rc < 0) {
		free(t.at);
		return answer_unavailable(rc);
	}
	if (bus)
		add_socket(&t, &u);
	else
		add_processes(&t);
	add_file(&t, bus ? COUNTERS_RUNTIME_DIRECTORY : directory);
	begin(&t, "proxxy_build_info", "gauge", "The version of proxxy-status. The value is 1.");
	labelled(&t, "version", PROXXY_VERSION, 1);
	return (struct answer){ 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", t.at };
}
