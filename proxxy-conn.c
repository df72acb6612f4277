/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-conn: one browser's console of one VM, from its first byte to its last. Spawned for each
 * connection by systemd, xinetd or systemd-socket-activate, with the client's socket on fd 0 and 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
#include "lib/terminal.h"
#include "lib/uri.h"
#include "session/algorithms.h"
#include "session/log.h"
#include "session/prefault.h"
#include "session/relay.h"
#include "session/replay.h"
#include "session/sandbox.h"
#include "session/systemd.h"
#include "session/upgrade.h"
#include "session/upstream.h"
#include "session/uptime.h"
#include "session/wipe.h"

enum {
	/* Every answer to a payload that is not authenticated and invalid leaves so long after its request came: what
	 * was wrong with it must not show in the time either (padding oracles). Opening one takes well under 5 ms. */
	INVALID_PAYLOAD_MS = 50,
};

/* What one session holds. Static: the buffers' pages cost nothing until they are used. */
static struct config config;
static struct access granted;
static struct upstream upstream;
static struct relay relay;
static struct session session;
static struct endpoint client;
static char head[HTTP_HEAD_MAX + EXCHANGE_ROOM];
static size_t head_used; /* bytes of head that were written to */
static char client_address[INET6_ADDRSTRLEN]; /* "" when it is not known */

static int __attribute__((format(printf, 2, 3))) fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(session.detail, sizeof(session.detail), format, args);
	va_end(args);
	return code;
}

/* --- 1 harden ----------------------------------------------------------------------------- */

/* Disables core dumps, debuggers, new privileges and SIGPIPE, and closes descriptors that the parent left
 * open. Makes sure that fds 0 to 2 are open: a socket that we open must not become standard error.
 * Returns 0 or ERR_SYSTEM. */
static int harden(void)
{
	const struct rlimit none = { 0, 0 };
	int fd;

	closefrom(STDERR_FILENO + 1); /* close_range(2), or one by one on an old kernel */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return ERR_SYSTEM;
	close(fd);
	setrlimit(RLIMIT_CORE, &none);
#ifndef PROXXY_SANITIZE /* the leak sanitizer must be able to look into its own process */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	io_catch_sigterm();
	mallopt(M_ARENA_MAX, 1); /* the resolver's thread needs no heap of its own */
	return OK;
}

/* --- 2 configure -------------------------------------------------------------------------- */

/* The client's address, an IPv4 one without its IPv6 clothes: alone, and with its port for the log. */
static void name_peer(char *peer, size_t size)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];
	const char *plain_host = host;

	snprintf(peer, size, "unknown");
	if (getpeername(STDIN_FILENO, (struct sockaddr *)&address, &len) < 0 ||
	    (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
	    getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.'))
		plain_host += 7;
	snprintf(client_address, sizeof(client_address), "%.45s", plain_host);
	snprintf(peer, size, strchr(plain_host, ':') ? "[%.45s]:%.5s" : "%.45s:%.5s", plain_host, port);
}

/* What is allowed, and should not last. */
static void warn_of_settings(void (*warn)(const char *message))
{
	if (!config.tls_verify)
		warn("PROXXY_TLS_VERIFY is off: anyone on the way to Proxmox can pose as it and take tickets and consoles");
	if (!config.accept_jwe)
		warn("PROXXY_PAYLOADS is cbc: payloads are not authenticated, do not expire, and can be changed on their way");
}

static int configure(void)
{
	int rc = config_load(&config, session.detail, sizeof(session.detail));

	if (log_open(config.log) < 0)
		_exit(EX_OSERR); /* with nowhere to say it */
	name_peer(session.peer, sizeof(session.peer));
	if (rc == OK)
		warn_of_settings(log_warning);
	return rc;
}

/* --- 3 read request ----------------------------------------------------------------------- */

/* Returns 0, or what is wrong with the request or, before that is looked at, with our settings: whoever asks is
 * told. Returns ERR_CLIENT_GONE when nobody is there to be told. */
static int read_request(struct http_request *ret_request, int configured)
{
	const int64_t deadline = session.began + config.request_timeout * INT64_C(1000);
	size_t space, head_len;
	int rc = exchange_read(&client, head, sizeof(head), deadline, ret_request, &head_len, &head_used);

	if (rc == ERR_CLIENT_GONE && head_used == 0) /* a probe of the port, or a browser's spare connection */
		_exit(EX_OK);
	if (rc < 0)
		return rc;
	/* What came behind the head is the client's first frames. */
	memcpy(framer_space(&relay.up.framer, &space), head + rc, head_len - (size_t)rc);
	framer_filled(&relay.up.framer, head_len - (size_t)rc);

	if (configured < 0)
		return configured;
	if (!exchange_knows(ret_request))
		return ERR_METHOD;
	return ret_request->has_body ? fail(ERR_REQUEST_MALFORMED, "a request with a body") : OK;
}

/* --- 4 open payload ----------------------------------------------------------------------- */

/* Now it is worth it: who only probes, or sends nothing, costs neither OpenSSL nor its memory. */
static int start_crypto(void)
{
	prefault();
	return algorithms_restrict();
}

/* Opens the payload and holds it against the settings, the clock and the client. Leaves neither the keys nor the
 * payload behind. */
static int open_payload(const struct http_request *request)
{
	static char text[HTTP_HEAD_MAX];
	const int64_t came = io_now();
	struct slice origin = request->origin;
	int rc = uri_query(request->target, "payload", text, sizeof(text));

	if (rc == 0)
		rc = ERR_PAYLOAD_MISSING;
	else if (rc < 0)
		rc = fail(ERR_PAYLOAD_INVALID, "not well-formed in the URL");
	else
		rc = access_open(&granted, &config, text, (size_t)rc);
	config_wipe_keys(&config);
	OPENSSL_cleanse(text, request->target.len); /* decoding makes nothing longer, and untouched pages cost nothing */
	OPENSSL_cleanse((char *)(uintptr_t)request->target.at, request->target.len);
	session.format = granted.format;
	session.kid = granted.kid;
	if (rc == OK) {
		session.console = &granted.console;
		/* A page's plain GET has no Origin, and needs none: it only asks for the error. */
		if (!request->upgrade && !origin.at)
			origin = (struct slice){ granted.claims.origin, strlen(granted.claims.origin) };
		rc = access_check(&granted, &config, time(NULL), origin, client_address);
	}
	if (rc == OK && *granted.why)
		log_warning(granted.why);
	else if (*granted.why)
		fail(rc, "%s", granted.why);
	if (rc == ERR_PAYLOAD_INVALID && !granted.authenticated)
		io_sleep_until(came + INVALID_PAYLOAD_MS);
	return rc;
}

/* --- 5 answer ----------------------------------------------------------------------------- */

/* Answers a request that needs no payload. Returns false if the request needs one. */
static bool answer_without_payload(const struct http_request *request)
{
	char body[64];

	if (slice_is(request->method, "OPTIONS")) {
		exchange_answer(&client, 204, EXCHANGE_ALLOW, "", false);
		return true;
	}
	if (!slice_is(uri_path(request->target), "/api/status"))
		return false;
	snprintf(body, sizeof(body), "{\"uptime\":%lld}", (long long)uptime_seconds());
	exchange_answer(&client, 200, "", body, exchange_wants_body(request));
	return true;
}

/* Returns 0 if the request can be upgraded, else an error. Does not use the jti up. A request that is no
 * upgrade gets the error that an upgrade would get. */
static int check_upgrade(const struct http_request *request)
{
	const struct slice origin = request->origin;
	int rc;

	if (*config.allowed_origins &&
	    (origin.at ? !host_origin_allowed(config.allowed_origins, origin.at, origin.len) : request->upgrade))
		return fail(ERR_ORIGIN, "not in PROXXY_ALLOWED_ORIGINS");
	rc = upstream_prepare(&upstream, &config, &granted.claims);
	if (rc < 0)
		return fail(rc, "%s", upstream.detail);
	rc = upgrade_check(request);
	return rc == ERR_UPGRADE_MISSING && replay_is_used(&granted, &config) ? ERR_PAYLOAD_USED : rc;
}

/* Promises the client a WebSocket: nothing of ours stands in its way any more. */
static int answer_upgrade(const struct http_request *request)
{
	char answer[UPGRADE_ANSWER_MAX];
	int rc = check_upgrade(request), size;

	if (rc < 0)
		return rc;
	size = upgrade_write(request, answer);
	if (size < 0)
		return size;
	rc = replay_use_jti(&granted, &config);
	return rc < 0 ? fail(rc, "%s", granted.why) : exchange_send(&client, answer, (size_t)size);
}

/* Returns the detail that the client may get with a refusal, or "". Only the payload's maker, who has the
 * key, gets details of the payload. Nobody gets details of our own failures. */
static const char *detail_to_tell(int code)
{
	return granted.authenticated && error_info(code)->http_status < 500 ? session.detail : "";
}

/* --- 6 dial ------------------------------------------------------------------------------- */

static int dial(void)
{
	const struct console *console = &granted.console;
	char status[200];
	int rc;

	if (granted.claims.session_max && (!config.session_max || granted.claims.session_max < config.session_max))
		config.session_max = granted.claims.session_max;
	snprintf(status, sizeof(status), "%s %u on %.100s for %s", console->type, console->vmid, console->node, session.peer);
	systemd_status(status);
	log_begin(&session);
	rc = upstream_dial(&upstream, console, &client);
	return rc < 0 ? fail(rc, "%s", upstream.detail) : OK;
}

/* --- 7 confine ---------------------------------------------------------------------------- */

/* Everything is open that will ever be. Returns rc, how that went, or ERR_SYSTEM: without a sandbox nothing goes on. */
static int confine(int rc)
{
	if (sandbox_enter() == OK || rc < 0)
		return rc;
	return fail(ERR_SYSTEM, "cannot confine itself: %s", strerror(errno));
}

/* --- 8 open the console ------------------------------------------------------------------- */

static int open_console(void)
{
	size_t space;
	int rc = upstream_open(&upstream, &granted.console, &client);

	if (rc < 0)
		return fail(rc, "%s", upstream.detail);
	/* What came behind Proxmox's answer is its first frames. */
	memcpy(framer_space(&relay.down.framer, &space), upstream.early, upstream.n_early);
	framer_filled(&relay.down.framer, upstream.n_early);
	return OK;
}

/* The tickets have been used. The handshake is over, and the filter is the kernel's: their memory goes back. */
static void forget(void)
{
	access_wipe(&granted);
	io_rest(&upstream.endpoint);
	malloc_trim(0);
	wipe_stack();
}

/* --- refusals ----------------------------------------------------------------------------- */

/* True if the refusal must be sent in a Close. When a WebSocket is refused, a browser shows the page
 * neither status nor body, only a Close. Browsers always send Origin (RFC 6455 section 10.2); other
 * clients get the status. A payload that was not opened always gets the same answer, never a Close. */
static bool reads_closes_only(const struct http_request *request, int code)
{
	return request->origin.at && upgrade_check(request) == OK && code != ERR_CLIENT_GONE &&
	       (granted.authenticated || session.console);
}

/* Upgrades, and sends the reason of the refusal in a Close. */
static void refuse_in_close(const struct http_request *request, int code)
{
	const char *detail = detail_to_tell(code);
	char answer[UPGRADE_ANSWER_MAX], reason[LOG_DETAIL_MAX + 80];
	const int size = upgrade_write(request, answer);

	/* The Close cuts it off at its limit. */
	snprintf(reason, sizeof(reason), "%.70s%s%s", error_info(code)->words, *detail ? ": " : "", detail);
	OPENSSL_cleanse(head, head_used);
	if (size < 0 || exchange_send(&client, answer, (size_t)size) < 0)
		return;
	forget();
	relay_refuse(&relay, confine(code), reason);
	session.close_code = relay.close_code;
}

static void refuse(const struct http_request *request, int code)
{
	session.outcome = code;
	if (reads_closes_only(request, code))
		refuse_in_close(request, code);
	else
		exchange_refuse(&client, request, code, detail_to_tell(code));
	log_refused(&session);
}

/* --- 9 relay, and goodbye: relay.c; 10 summary -------------------------------------------- */

static void sum_up(void)
{
	session.outcome = relay.outcome;
	session.close_code = relay.close_code;
	session.bytes_up = relay.bytes_up;
	session.bytes_down = relay.bytes_down;
	if (relay.why)
		fail(relay.outcome, "%s%s%s", relay.why, *upstream.detail ? ": TLS: " : "", upstream.detail);
	log_end(&session, io_now());
}

static void serve(void)
{
	struct http_request request = { 0 };
	int rc = configure();

	upstream_init(&upstream);
	relay_init(&relay, &config, &client, &upstream.endpoint, session.began);
	rc = read_request(&request, rc);
	if (rc == OK && answer_without_payload(&request)) {
		OPENSSL_cleanse(head, head_used); /* the target may still hold a payload */
		return;
	}
	if (rc == OK)
		rc = start_crypto();
	if (rc == OK)
		rc = open_payload(&request);
	if (rc == OK)
		rc = answer_upgrade(&request);
	if (rc < 0)
		refuse(&request, rc);
	OPENSSL_cleanse(head, head_used); /* it may hold the panel's cookies */
	if (rc < 0)
		return;
	if (head_used > EXCHANGE_ROOM)
		io_give_back(head, sizeof(head));

	rc = confine(dial());
	if (rc == OK)
		rc = open_console();
	forget();
	if (rc == OK)
		relay_run(&relay);
	else
		relay_refuse(&relay, rc, upstream.reason);
	upstream_close(&upstream);
	sum_up();
}

static int run(void)
{
	if (harden() < 0 || io_prepare(STDIN_FILENO) < 0)
		return EX_OSERR;
	session.began = io_now();
	client = io_endpoint(STDIN_FILENO, NULL);
	serve();
	config_wipe_keys(&config);
	access_wipe(&granted);
	if (!relay.closing) /* else the relay has ended the connection */
		io_linger(&client, NULL, io_now() + IO_LINGER_MS);
	log_close();
	return error_info(session.outcome)->exit_status;
}

/* --- --check ------------------------------------------------------------------------------ */

/* systemd takes the level off the line's beginning; a person is not shown it. */
static void tell_operator(const char *message)
{
	fprintf(stderr, "%sproxxy-conn: %s\n", getenv("JOURNAL_STREAM") ? "<4>" /* sd-daemon(3) */ : "", message);
}

static int check(void)
{
	int rc = config_load(&config, session.detail, sizeof(session.detail));

	config_print_files(stdout);
	config_wipe_keys(&config);
	if (rc == OK) {
		upstream_init(&upstream);
		rc = algorithms_restrict();
		if (rc == OK)
			rc = upstream_prepare(&upstream, &config, &granted.claims); /* which reads PROXXY_CA_FILE */
		fail(rc, "%s", *upstream.detail ? upstream.detail : "OpenSSL does not start");
		upstream_close(&upstream);
	}
	if (rc < 0) {
		tell_operator(terminal_clean(session.detail));
		return EX_CONFIG;
	}
	warn_of_settings(tell_operator);
	if (config.accept_cbc && !*config.ca_file && !*config.allowed_hosts && config.n_fingerprints == 0)
		tell_operator("payloads of the old format are accepted, Proxmox's certificate may come from any public CA, and any host may "
			      "be dialled: who changes a payload could have its ticket sent to a machine of theirs. Set "
			      "PROXXY_CA_FILE to the cluster's own CA, or PROXXY_ALLOWED_HOSTS");
	if (config.accept_cbc && config.accept_jwe)
		tell_operator("payloads of the old format are accepted, which are not authenticated and do not expire: once every "
			      "backend sends JWE, set PROXXY_PAYLOADS=jwe");
	return puts("proxxy-conn: settings and key are in order") < 0;
}

static int usage(FILE *out)
{
	fputs("Usage: proxxy-conn\n"
	      "Relays one browser's WebSocket to the console of a VM on Proxmox VE. It is not started by\n"
	      "hand: systemd (proxxy.socket) or xinetd runs one for each connection, with the client's\n"
	      "socket on fd 0 and 1. To try it:\n"
	      "  systemd-socket-activate --inetd -a -l 8443 proxxy-conn\n"
	      "\n"
	      "  --help      this text\n"
	      "  --version   the version\n"
	      "  --settings  a commented file with every setting\n"
	      "  --check     checks the settings and the key, and lists the settings files that are read\n"
	      "\n"
	      "Settings, read from the environment, from /etc/proxxy/proxxy.conf (PROXXY_CONFIG names\n"
	      "another file) and from proxxy.conf.d/*.conf beside it:\n", out);
	config_print_help(out);
	fputs("\nManuals: proxxy-conn(8), proxxy.conf(5), proxxy-payload(7)\n", out);
	return out == stdout ? EX_OK : EX_USAGE;
}

int main(int argc, char **argv)
{
	int type, status;
	socklen_t len = sizeof(type);

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("proxxy-conn " PROXXY_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--settings") == 0) {
		config_print_file(stdout);
		return EX_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--check") == 0)
		return check();
	if (argc != 1 || getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return usage(stderr);

	status = run();
#ifdef PROXXY_SANITIZE
	return status;
#else
	_exit(status); /* nothing to flush, and libraries' clean-up is the kernel's */
#endif
}
