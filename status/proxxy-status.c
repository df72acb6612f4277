/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-status: answers one HTTP request with proxxy's counters, metrics or list of sessions.
 * Health checks and Prometheus send such requests. systemd counts the connections; this program
 * asks it over D-Bus, keeps no state and needs no privilege. proxxy-status.socket starts it for
 * each connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/http_exchange.h"
#include "lib/linger.h"
#include "lib/uri.h"
#include "status/answer.h"
#include "status/bus.h"
#include "status/metrics.h"
#include "status/sessions.h"

enum {
	REQUEST_MAX = 4096 + EXCHANGE_ROOM, /* bytes of a request's head; Prometheus sends about 300 */
	REQUEST_TIMEOUT_MS = 5000,          /* for the whole request */
};

/* --- routes ------------------------------------------------------------------------------- */

static const struct {
	const char *path;
	struct answer (*answer)(sd_bus *bus);
	bool unix_only; /* it names clients and guests, and all users of this machine can use TCP */
} routes[] = {
	{ "/api/status", metrics_answer_status, false },
	{ "/api/sessions", sessions_answer, true },
	{ "/metrics", metrics_answer, false },
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
		return answer_error(405, EXCHANGE_ALLOW, error_info(ERR_METHOD)->words);
	if (slice_is(request->method, "OPTIONS"))
		return (struct answer){ 204, EXCHANGE_ALLOW, strdup("") };
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct answer answer;
		sd_bus *bus = NULL;
		int rc;

		if (!slice_is(path, routes[i].path))
			continue;
		if (routes[i].unix_only && !is_unix_socket())
			return answer_error(403, "", "Only on the UNIX socket /run/proxxy-status.sock");
		rc = bus_open(&bus);
		answer = rc < 0 ? answer_unavailable(rc) : routes[i].answer(bus);
		sd_bus_flush_close_unref(bus);
		return answer;
	}
	return answer_error(404, "", "Not found. There are /api/status, /api/sessions and /metrics");
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
	answer = rc < 0 ? answer_error(error_info(rc)->http_status, "", error_info(rc)->words) : route(&request);
	if (!answer.body)
		return EX_OSERR;
	exchange_answer(&client, answer.status, answer.extra, answer.body, exchange_wants_body(&request));
	free(answer.body);
	linger(&client, NULL, io_now() + LINGER_MS);
	return EX_OK;
}
