/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-conn: serves one WebSocket session, from the client's HTTP request to the last log record.
 * systemd, xinetd or proxxy-listen starts it for each connection, with the client's socket as fd 0
 * and 1. This file holds the phases of a session, in their order.
 */
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/access.h"
#include "lib/config.h"
#include "lib/error.h"
#include "lib/host.h"
#include "lib/http.h"
#include "lib/http_exchange.h"
#include "lib/io.h"
#include "lib/linger.h"
#include "lib/pages.h"
#include "lib/proxy_protocol.h"
#include "session/algorithms.h"
#include "session/check.h"
#include "session/client.h"
#include "session/counters.h"
#include "session/harden.h"
#include "session/limits.h"
#include "session/log.h"
#include "session/login.h"
#include "session/options.h"
#include "session/plain_answer.h"
#include "session/prefault.h"
#include "session/relay.h"
#include "session/relro.h"
#include "session/sandbox.h"
#include "session/sealed.h"
#include "session/single_use.h"
#include "session/store_sub.h"
#include "session/systemd.h"
#include "session/upgrade.h"
#include "session/upstream.h"
#include "session/wipe.h"

enum {
	/* An invalid payload that is not authenticated is always answered this long after it
	 * arrived, so that the time does not show what was wrong (padding oracles). Opening a
	 * payload takes less than 5 ms. */
	INVALID_PAYLOAD_MS = 50,
};

/* The session. Static: the buffers' pages are allocated when they are first used. */
static struct config config PAGED;
static struct access payload PAGED; /* once it is opened; all zero before */
static struct upstream upstream PAGED;
static struct relay relay PAGED;
static struct session session;
static struct endpoint client;
static struct client who; /* is at its other end */
static struct limits limits = { .warn = log_warning };
static size_t head_used; /* bytes of head that were written to */
static char head[HTTP_HEAD_MAX + EXCHANGE_ROOM] PAGED;

/* Sets the detail of a failure, for the log. Returns code. */
#define fail(code, ...) error_why(session.detail, sizeof(session.detail), code, __VA_ARGS__)

/* Names the step of a system error that has no detail yet. Returns rc. */
static int in_step(const char *step, int rc)
{
	return rc == ERR_SYSTEM && !*session.detail ? fail(rc, "cannot %s", step) : rc;
}

/* --- 1 harden: harden.c; 2 configure ---------------------------------------------------------- */

/* Loads the settings, opens the log, and enters the first sandbox. Returns 0, or ERR_CONFIG or
 * ERR_SYSTEM with session.detail: the client still gets an answer. */
static int configure(void)
{
	int rc = config_load(&config, session.detail, sizeof(session.detail));

	if (log_open(config.log) < 0)
		_exit(EX_OSERR); /* without a log the reason cannot be reported */
	client_of_socket(STDIN_FILENO, &config, &who);
	if (rc == OK)
		check_warn(&config, log_warning);
	if (sandbox_enter_first(&config) < 0)
		rc = fail(ERR_SYSTEM, "cannot confine itself: %s", strerror(errno));
	return rc;
}

/* --- 3 read request ----------------------------------------------------------------------- */

/* Reads the PROXY header, if the peer must send one, and the request's head. Returns as
 * exchange_read(). */
static int read_head(struct http_request *ret_request, size_t *ret_head_len)
{
	const int64_t deadline = session.began + config.request_timeout * INT64_C(1000);
	int rc = client_read_header(&who, &config, &client, deadline, head, &head_used, session.detail,
				    sizeof(session.detail));

	return rc < 0 ? rc :
			exchange_read(&client, client_field(&config), head, sizeof(head), deadline, ret_request,
				      ret_head_len, &head_used);
}

/* Reads the request's head. configured is configure()'s result. Returns 0, ERR_CLIENT_GONE, or the
 * first of these errors: of reading, configured, of the content. Ends the process if the client
 * sent nothing. */
static int read_request(struct http_request *ret_request, int configured)
{
	size_t space, head_len;
	int rc = read_head(ret_request, &head_len);

	if (rc == ERR_CLIENT_GONE && head_used == 0) /* a port probe, or a browser's spare connection */
		_exit(EX_OK);
	if (rc == ERR_REQUEST_MALFORMED && proxy_protocol_begins(head, head_used) && configured < 0 &&
	    config.client_source != CLIENT_PROXY_PROTOCOL)
		return configured; /* PROXXY_CLIENT_ADDRESS may be among the settings that were not read */
	if (rc == ERR_REQUEST_MALFORMED && proxy_protocol_begins(head, head_used) && !*session.detail)
		fail(rc, "%s", client_header_hint(&who, &config));
	if (rc < 0)
		return rc;
	/* The bytes after the head are the client's first frames. */
	memcpy(framer_space(&relay.up.framer, &space), head + rc, head_len - (size_t)rc);
	framer_filled(&relay.up.framer, head_len - (size_t)rc);

	if (configured < 0)
		return configured;
	rc = client_of_request(&who, &config, ret_request, session.detail, sizeof(session.detail));
	if (rc < 0)
		return rc;
	if (!exchange_accepts_method(ret_request))
		return ERR_METHOD;
	return ret_request->has_body ? fail(ERR_REQUEST_MALFORMED, "a request with a body") : OK;
}

/* --- 4 open payload ----------------------------------------------------------------------- */

/* Starts OpenSSL. Called after the request is read, so that port probes do not pay for it. Returns
 * 0 or ERR_SYSTEM. */
static int start_crypto(void)
{
	prefault();
	return algorithms_restrict();
}

/* Opens the payload and checks it against the settings, the clock and the client. Wipes the keys
 * and the sealed payload. Returns 0 or an error to answer. */
static int open_payload(const struct http_request *request)
{
	static char text[HTTP_HEAD_MAX] PAGED;
	const int64_t arrived = io_now();
	struct slice origin = request->origin, sealed;
	const char *why = "";
	int rc = sealed_find(request, text, &sealed, &why);

	if (rc == OK)
		rc = access_open(&payload, &config, sealed.at, sealed.len);
	else
		fail(rc, "%s", why);
	config_wipe_keys(&config);
	sealed_wipe(request, text);
	pages_release(text, sizeof(text));
	session.format = payload.format;
	session.kid = payload.kid;
	if (rc == OK) {
		session.console = &payload.console;
		session.cluster = payload.cluster.name;
		memcpy(session.sub, payload.claims.sub, sizeof(session.sub));
		memcpy(session.jti, payload.claims.jti, sizeof(session.jti));
		/* A plain GET (the URL opened as a page) has no Origin, and never gets a console.
		 * Treat its Origin as allowed, so that it gets the next error instead. */
		if (!request->upgrade && !origin.at)
			origin = (struct slice){ payload.claims.origin, strlen(payload.claims.origin) };
		rc = access_check(&payload, &config, time(NULL), origin, who.address);
	}
	if (rc == OK && *payload.why)
		log_warning(payload.why);
	else if (*payload.why)
		fail(rc, "%s", payload.why);
	if (rc == ERR_PAYLOAD_INVALID && !payload.authenticated)
		io_sleep_until(arrived + INVALID_PAYLOAD_MS);
	return rc;
}

/* --- 5 answer ----------------------------------------------------------------------------- */

/* Returns 0 if the request can be upgraded, else an error to answer. Makes the TLS context. Does
 * not use the jti. A plain GET gets the error that an upgrade would get, also ERR_PAYLOAD_USED; if
 * there is none, ERR_UPGRADE_MISSING. */
static int prepare_upgrade(const struct http_request *request)
{
	const struct slice origin = request->origin;
	int rc;

	if (*config.allowed_origins &&
	    (origin.at ? !host_origin_allowed(config.allowed_origins, origin.at, origin.len) : request->upgrade))
		return fail(ERR_ORIGIN, "not in PROXXY_ALLOWED_ORIGINS");
	rc = upstream_prepare(&upstream, &config, &payload);
	if (rc < 0)
		return fail(rc, "%s", upstream.detail);
	rc = upgrade_check(request);
	if (rc != ERR_UPGRADE_MISSING)
		return rc;
	rc = single_use_look(&payload, &config, session.detail, sizeof(session.detail));
	return rc < 0 ? rc : ERR_UPGRADE_MISSING;
}

/* Sends the 101. Returns 0, or why the client did not get all of it. */
static int send_upgrade(const char *answer, size_t size)
{
	session.upgrade_sent = true;
	switch (exchange_send(&client, answer, size)) {
	case OK:
		return OK;
	case IO_BROKEN:
		return ERR_CLIENT_GONE;
	case IO_TIMEOUT:
		return fail(ERR_CLIENT_GONE, "it did not accept the answer in %d s", EXCHANGE_ANSWER_TIMEOUT_MS / 1000);
	case IO_TERMINATED:
		return END_TERMINATED;
	default:
		return ERR_SYSTEM;
	}
}

/* Does all local checks, then uses the jti, then sends the 101. Returns 0 or an error. */
static int answer_upgrade(const struct http_request *request)
{
	char answer[UPGRADE_ANSWER_MAX];
	int rc = prepare_upgrade(request), size;

	if (rc < 0)
		return rc;
	size = upgrade_write(request, answer);
	if (size < 0)
		return size;
	rc = single_use_take(&payload, &config, session.detail, sizeof(session.detail));
	return rc < 0 ? rc : send_upgrade(answer, (size_t)size);
}

/* Returns the detail that the client may get with an error, or "". Only if the payload is
 * authenticated, so that only a holder of the key learns what is wrong with it. Nobody gets details
 * of our own failures. */
static const char *detail_for_client(int code)
{
	return payload.authenticated && error_info(code)->http_status < 500 ? session.detail : "";
}

/* --- 6 dial ------------------------------------------------------------------------------- */

/* Logs that the session begins, and connects to Proxmox. Returns 0 or an error. */
static int dial(void)
{
	char status[LOG_STATUS_MAX];
	int rc;

	if (payload.claims.session_max && (!config.session_max || payload.claims.session_max < config.session_max))
		config.session_max = payload.claims.session_max;
	systemd_status(log_status(&session, status));
	log_begin(&session);
	rc = upstream_dial(&upstream, &payload.console, &client);
	return rc < 0 ? fail(rc, "%s", upstream.detail) : OK;
}

/* --- 7 confine ---------------------------------------------------------------------------- */

/* Enters the second sandbox: from here on no file or socket is opened. Does so also after an error
 * rc of dial(), because the client still gets a Close. Returns rc, or ERR_SYSTEM if there is no
 * sandbox: then the session must not continue. */
static int confine(int rc)
{
	relro_prepare();
	if (sandbox_enter() == OK || rc < 0)
		return rc;
	return fail(ERR_SYSTEM, "cannot confine itself: %s", strerror(errno));
}

/* --- 8 open the console ------------------------------------------------------------------- */

/* Opens the console's WebSocket. If the payload has no console ticket, requests the console before.
 * Returns 0 or an error. */
static int open_console(void)
{
	size_t space;
	int rc = upstream_open(&upstream);

	if (rc < 0)
		return fail(rc, "%s", upstream.detail);
	/* The bytes after Proxmox's answer are its first frames. */
	memcpy(framer_space(&relay.down.framer, &space), upstream.early, upstream.n_early);
	framer_filled(&relay.down.framer, upstream.n_early);
	return OK;
}

/* --- 9 log in ----------------------------------------------------------------------------- */

/* Logs in to the console, if the payload says so. Returns 0 or an error, with its words in
 * upstream.reason for the client. */
static int log_in(void)
{
	static struct login login;
	int rc;

	if (!payload.console.login)
		return OK;
	rc = login_run(&login, &relay, &payload.console, upstream.guest_note, upstream.deadline);
	if (rc == OK)
		return OK;
	memcpy(upstream.reason, login.reason, sizeof(upstream.reason));
	return fail(rc, "%s", login.detail);
}

/* Wipes the tickets, which have been used, and returns memory that only the phases before relaying
 * needed. */
static void wipe_secrets(void)
{
	access_wipe(&payload);
	upstream_end_secrets(&upstream);
	io_release_buffers(&upstream.endpoint);
	malloc_trim(0);
	wipe_stack();
}

/* --- errors before the console ------------------------------------------------------------ */

/* True if the error must be sent in a Close. If a WebSocket request fails with an HTTP error, the
 * page's script sees neither status nor body; it sees only a Close. Browsers always send Origin
 * (RFC 6455 section 10.2); other clients get the status. A payload that was not opened always gets
 * the same HTTP answer, never a Close. */
static bool needs_close(const struct http_request *request, int code)
{
	return request->origin.at && upgrade_check(request) == OK && code != ERR_CLIENT_GONE &&
	       (payload.authenticated || session.console);
}

/* Sends a 101, and then the error in a Close. */
static void answer_error_in_close(const struct http_request *request, int code)
{
	const char *detail = detail_for_client(code);
	char answer[UPGRADE_ANSWER_MAX], reason[LOG_DETAIL_MAX + 80];
	const int size = upgrade_write(request, answer);

	/* ws_write_close() cuts it at the limit of a Close. */
	snprintf(reason, sizeof(reason), "%.70s%s%s", error_info(code)->words, *detail ? ": " : "", detail);
	OPENSSL_cleanse(head, head_used);
	if (size < 0 || exchange_send(&client, answer, (size_t)size) < 0)
		return;
	wipe_secrets();
	relay_close_only(&relay, confine(code), reason);
	session.close_code = relay.close_code;
}

/* Adds to the log's detail why the client's address may not be its own, if code depends on it. */
static void add_client_hint(int code)
{
	const size_t len = strlen(session.detail);
	char hint[CLIENT_HINT_MAX];

	if ((code == ERR_CLIENT_ADDRESS || code == ERR_LIMIT_CLIENT || code == ERR_LIMIT_RATE) &&
	    *client_hint(&who, &config, hint))
		snprintf(session.detail + len, sizeof(session.detail) - len, "%s%s", len > 0 ? "; " : "", hint);
}

/* Answers code to the client, unless an answer has begun, and logs it. */
static void answer_error(const struct http_request *request, int code)
{
	session.outcome = code;
	if (!session.upgrade_sent && needs_close(request, code))
		answer_error_in_close(request, code);
	else if (!session.upgrade_sent)
		exchange_answer_error(&client, request, code, detail_for_client(code),
				      limits_retry_after(&limits, code));
	add_client_hint(code);
	log_refused(&session);
	counters_refused(code);
}

/* --- 10 relay and close: relay.c; 11 summary ---------------------------------------------- */

/* Does what is due while relaying. Returns when to call it again. */
static int64_t renew(int64_t now)
{
	return io_earlier(store_sub_renew(now), relro_release_in_time(now));
}

/* Logs and counts how the session ended. */
static void sum_up(void)
{
	session.outcome = relay.outcome;
	session.close_code = relay.close_code;
	session.bytes_up = relay.bytes_up;
	session.bytes_down = relay.bytes_down;
	if (relay.why)
		snprintf(session.detail, sizeof(session.detail), "%s%s%.100s", relay.why,
			 *upstream.detail ? ": TLS: " : "", upstream.detail);
	log_end(&session, io_now());
	counters_ended(relay.outcome, io_now() - session.began, relay.bytes_up, relay.bytes_down);
}

/* --- the session -------------------------------------------------------------------------- */

/* Phases 2 to 5: handles the request. Returns true if the client got a 101, false if another
 * answer. */
static bool accept_client(void)
{
	struct http_request request = { 0 };
	int rc = configure();

	upstream_init(&upstream);
	relay_init(&relay, &config, &client, &upstream.endpoint, session.began);
	relay.renew = renew;
	rc = read_request(&request, rc);
	if (rc == OK && plain_answer(&client, &request))
		return false;
	counters_open(config.state_directory, io_now());
	if (rc == OK)
		rc = limits_admit_client(&limits, &config, &who);
	if (rc == OK)
		rc = in_step("start OpenSSL", start_crypto());
	if (rc == OK)
		rc = in_step("open the payload", open_payload(&request));
	if (rc == OK)
		rc = in_step("admit the console", limits_admit_console(&limits, &config, &payload));
	if (rc == OK)
		rc = in_step("answer", answer_upgrade(&request));
	config_wipe_store(&config);
	if (rc < 0 && *limits.why)
		fail(rc, "%s", limits.why);
	if (rc < 0)
		answer_error(&request, rc);
	return rc == OK;
}

/* Phases 6 to 11: connects the client to its console, or closes its WebSocket with the reason. */
static void relay_console(void)
{
	int rc = confine(in_step("connect", dial()));

	if (rc == OK)
		rc = in_step("open the console", open_console());
	if (rc == OK)
		rc = in_step("log in to the console", log_in());
	wipe_secrets();
	if (rc == OK) {
		counters_opened(io_now());
		relay_run(&relay);
	} else {
		relay_close_only(&relay, rc, upstream.reason);
	}
	upstream_close(&upstream);
	sum_up();
}

/* Phase 1, and the end of the process. Returns an exit status of sysexits.h. */
static int run(void)
{
	bool accepted;

	if (harden() < 0 || io_prepare(STDIN_FILENO) < 0)
		return EX_OSERR;
	session.began = io_now();
	session.client = &who;
	client = io_endpoint(STDIN_FILENO, NULL);
	accepted = accept_client();
	OPENSSL_cleanse(head, head_used); /* it may hold the panel's cookies and, if nothing opened it, a payload */
	pages_release(head, sizeof(head));
	if (accepted)
		relay_console();
	store_sub_leave();
	config_wipe_keys(&config);
	access_wipe(&payload);
	if (!relay.closing) /* else relay.c ended the connection */
		linger(&client, NULL, io_now() + LINGER_MS);
	log_close();
	return error_info(session.outcome)->exit_status;
}

int main(int argc, char **argv)
{
	int type, status = options_run(argc, argv);
	socklen_t len = sizeof(type);

	if (status != OPTIONS_NONE)
		return status;
	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return options_usage(stderr);

	status = run();
#ifdef PROXXY_SANITIZE
	return status;
#else
	_exit(status); /* nothing to flush, and the kernel frees what libraries would clean up */
#endif
}
