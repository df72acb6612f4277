/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-status: answers one HTTP request with proxxy's counters, metrics or sessions, or with the
 * page for operators. systemd counts the connections, and sessions count in a file; this program
 * asks systemd over D-Bus, reads the file, keeps no state and needs no privilege.
 * proxxy-status.socket starts it for each connection. With --end it is the part that ends a
 * session, as another user: see ender.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/http_exchange.h"
#include "lib/linger.h"
#include "lib/uri.h"
#include "status/answer.h"
#include "status/bus.h"
#include "status/end.h"
#include "status/ender.h"
#include "status/metrics.h"
#include "status/origin.h"
#include "status/page.h"
#include "status/sessions.h"

enum {
	REQUEST_MAX = 4096 + EXCHANGE_ROOM, /* bytes of a request's head; Prometheus sends about 300 */
	REQUEST_TIMEOUT_MS = 5000,          /* for the whole request */
};

/* The methods of a request that ends a session. */
#define END_ALLOW "Allow: POST, OPTIONS\r\n"

/* --- routes ------------------------------------------------------------------------------- */

static struct answer get_page(sd_bus *bus)
{
	(void)bus;
	return page_answer();
}

static const struct {
	const char *path;
	struct answer (*answer)(sd_bus *bus); /* bus is NULL without needs_bus */
	bool unix_only, needs_bus;            /* unix_only: it names clients and guests */
} routes[] = {
	{ "/", get_page, true, false },
	{ "/api/status", metrics_answer_status, false, true },
	{ "/api/sessions", sessions_answer, true, true },
	{ "/metrics", metrics_answer, false, true },
};

/* Returns true if the connection came over the UNIX socket, whose mode limits who can connect. All
 * users of this machine can use TCP. */
static bool is_unix_socket(void)
{
	int domain;
	socklen_t len = sizeof(domain);

	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* Returns true if the request may learn who uses which guest, and end sessions. If not, *ret says
 * why. */
static bool is_operator(const struct http_request *request, struct answer *ret)
{
	if (!is_unix_socket())
		*ret = answer_error(403, "", "Only on the UNIX socket /run/proxxy-status.sock");
	else if (!origin_is_local(request))
		*ret = answer_error(403, "",
				    "Host must be localhost or an IP address. A server in front must send it so: see "
				    "proxxy-status(8)");
	else
		return true;
	return false;
}

static struct answer no_systemd_answer(void)
{
	return answer_error(503, "", "Only under systemd. Without it there is /metrics");
}

static struct answer end_session(const struct http_request *request, struct slice unit, bool has_systemd)
{
	struct answer answer;
	sd_bus *bus = NULL;
	int rc;

	if (slice_is(request->method, "OPTIONS"))
		return (struct answer){ 204, END_ALLOW, strdup("") };
	if (!slice_is(request->method, "POST"))
		return answer_error(405, END_ALLOW, error_info(ERR_METHOD)->words);
	if (!is_operator(request, &answer))
		return answer;
	if (!has_systemd)
		return no_systemd_answer();
	rc = bus_open(&bus);
	answer = rc < 0 ? answer_unavailable(rc) : end_answer(bus, request, unit);
	sd_bus_flush_close_unref(bus);
	return answer;
}

/* Answers a request. If systemd does not run proxxy, only the metrics can be had. */
static struct answer route(const struct http_request *request, bool has_systemd)
{
	const struct slice path = uri_path(request->target);
	struct slice unit;

	if (end_is_path(path, &unit))
		return end_session(request, unit, has_systemd);
	if (!exchange_accepts_method(request))
		return answer_error(405, EXCHANGE_ALLOW, error_info(ERR_METHOD)->words);
	if (slice_is(request->method, "OPTIONS"))
		return (struct answer){ 204, EXCHANGE_ALLOW, strdup("") };
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct answer answer;
		sd_bus *bus = NULL;
		int rc;

		if (!slice_is(path, routes[i].path) && !(path.len == 0 && strcmp(routes[i].path, "/") == 0))
			continue;
		if (!has_systemd && routes[i].needs_bus && routes[i].answer != metrics_answer)
			return no_systemd_answer();
		if (routes[i].unix_only && !is_operator(request, &answer))
			return answer;
		rc = has_systemd && routes[i].needs_bus ? bus_open(&bus) : 0;
		answer = rc < 0 ? answer_unavailable(rc) : routes[i].answer(bus);
		sd_bus_flush_close_unref(bus);
		return answer;
	}
	return answer_error(404, "", "Not found. There are /, /api/status, /api/sessions and /metrics");
}

/* --- connection --------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct http_request request = { 0 };
	char head[REQUEST_MAX];
	struct endpoint client;
	struct answer answer;
	size_t len, used;
	const bool no_systemd = argc == 2 && strcmp(argv[1], "--no-systemd") == 0;
	int rc;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("proxxy-status " PROXXY_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--end") == 0)
		return ender_serve();
	if (argc != 1 + no_systemd || io_prepare(STDIN_FILENO) < 0) {
		fputs("Usage: proxxy-status [--no-systemd | --end]\n"
		      "Answers one HTTP request on the socket at fd 0 with proxxy's counters, metrics or sessions,\n"
		      "or with the page for operators. With --end: ends the session that it is told at fd 0.\n"
		      "proxxy-status.socket starts it. Manual: proxxy-status(8)\n",
		      stderr);
		return EX_USAGE;
	}
	client = io_endpoint(STDIN_FILENO, NULL);
	rc = exchange_read(&client, NULL, head, sizeof(head), io_now() + REQUEST_TIMEOUT_MS, &request, &len, &used);
	if (rc == ERR_CLIENT_GONE)
		return EX_OK;
	answer = rc < 0 ? answer_error(error_info(rc)->http_status, "", error_info(rc)->words) :
			  route(&request, !no_systemd && sd_booted() > 0);
	if (!answer.body)
		return EX_OSERR;
	exchange_answer(&client, answer.status, answer.extra, answer.body, exchange_wants_body(&request));
	free(answer.body);
	linger(&client, NULL, io_now() + LINGER_MS);
	return EX_OK;
}
