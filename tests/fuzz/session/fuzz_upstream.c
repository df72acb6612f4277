/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes upstream_open(), from the first request to Proxmox to the console's 101: upstream.h, api.h
 * and the parsers below them, over the modelled world of world.h without TLS. The bit 0x40 of the
 * input's first byte chooses between two forms:
 *
 *     answers  each up to a NUL. Each comes when its request was sent: once whole, and once in
 *              pieces. Both must lead to the same requests and to the same end.
 *     events   of the world: anything at any time
 *
 * Whatever Proxmox answers, the end comes before the deadline, the console is complete or a reason
 * is set, no secret is in the reason, and nothing is left of an answer.
 */
#include "lib/io.c" /* for its static variable `terminated` */

#include <openssl/ssl.h>

#include "lib/error.h"
#include "lib/tls_socket.h"
#include "session/api.h"
#include "session/dial.h"
#include "session/upstream.h"
#include "tests/fuzz/session/payloads.h"
#include "tests/fuzz/session/world.h"

enum {
	EVENTS_MAX = 64 * 1024, /* bytes; an answer's byte needs up to three */
	SENT_MAX = 32 * 1024,   /* bytes of all requests */
	SETTINGS = 4,           /* bytes of world_settings */
	PREFIX = 20,            /* bytes of a secret that must not be shown either */
	WAIT_S = 20,
};

#define NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

/* The input's first byte. */
enum {
	OPTION_LXC = 1,
	OPTION_TERMINAL = 2,
	OPTION_NODE = 4,        /* the payload has a node */
	OPTION_USER_TICKET = 8, /* and a user's ticket, else a token */
	OPTION_READY = 16,      /* the payload has a console ticket: only the upgrade follows */
	OPTION_EVENTS = 64,
	OPTION_IPV6 = 128,
};

/* What one run came to. */
struct run {
	struct upstream u;
	struct console console;
	int rc;
	char sent[SENT_MAX]; /* to Proxmox */
	size_t n_sent;
};

static struct run *current;
static struct config config;
static struct access access_;
static SSL_CTX *context;
static SSL *begun;

/* --- functions of proxxy that are replaced -------------------------------------------------- */

int dial_proxmox(struct upstream *u)
{
	u->port = 8006;
	u->endpoint = io_endpoint(WORLD_UPSTREAM, NULL);
	return OK;
}

int tls_verify_context(const struct tls_verify *v, SSL_CTX **ret, char *why, size_t size)
{
	(void)v;
	(void)why;
	(void)size;
	if (!context)
		context = SSL_CTX_new(TLS_client_method());
	REQUIRE(context && SSL_CTX_up_ref(context) == 1, "no memory");
	*ret = context;
	return OK;
}

bool tls_verify_needs_files(const struct tls_verify *v)
{
	return !v->config;
}

bool tls_verify_set_host(SSL *tls, const struct console *console)
{
	return tls && *console->host;
}

int tls_verify_explain_handshake(const struct tls_verify *v, SSL *tls, char *ret_words, size_t size,
				 const char **ret_hint)
{
	REQUIRE(false, "a handshake that failed: %p %p %p %zu %p", (const void *)v, (void *)tls, (void *)ret_words,
		size, (const void *)ret_hint);
	return ERR_UPSTREAM_TLS;
}

bool tls_verify_explain_break(unsigned long error, char *ret_words, size_t size)
{
	(void)ret_words;
	return error != 0 && size == 0;
}

/* TLS is done at once, and the endpoint stays without it. */
int __wrap_io_begin_tls(struct endpoint *e, SSL *tls);
int __wrap_io_begin_tls(struct endpoint *e, SSL *tls)
{
	(void)e;
	begun = tls;
	return OK;
}

/* The ClientHello is sent, and the answer is not there yet. */
int __wrap_SSL_do_handshake(SSL *tls);
int __wrap_SSL_do_handshake(SSL *tls)
{
	return tls == begun ? -1 : 0;
}

int __wrap_SSL_get_error(const SSL *tls, int rc);
int __wrap_SSL_get_error(const SSL *tls, int rc)
{
	return tls == begun && rc < 0 ? SSL_ERROR_WANT_READ : SSL_ERROR_SSL;
}

int __wrap_SSL_is_init_finished(const SSL *tls);
int __wrap_SSL_is_init_finished(const SSL *tls)
{
	(void)tls;
	return 0;
}

ssize_t __wrap_io_handshake(struct endpoint *e);
ssize_t __wrap_io_handshake(struct endpoint *e)
{
	(void)e;
	return 1;
}

static size_t at_once = TLS_SOCKET_AT_ONCE;

void __wrap_tls_socket_limit(SSL *tls, size_t size);
void __wrap_tls_socket_limit(SSL *tls, size_t size)
{
	(void)tls;
	at_once = size;
}

/* --- what must hold ------------------------------------------------------------------------- */

static bool is_clean(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7E)
			return false;
	return true;
}

static bool is_name(const char *text)
{
	return *text && strspn(text, NAME) == strlen(text);
}

/* Checks what api_request_console() returned. */
static void require_console(const struct console *c, int rc)
{
	REQUIRE(strlen(c->vncticket) <= CONSOLE_VNCTICKET_MAX && strlen(c->password) <= CONSOLE_PASSWORD_MAX, "length");
	if (rc < 0) {
		REQUIRE(!*c->vncticket && !c->vnc_port && !*c->password && !*c->user, "a part of a console");
		return;
	}
	REQUIRE(is_name(c->node), "node %s", c->node);
	REQUIRE(*c->vncticket && c->vnc_port, "no ticket, no port");
	for (const char *p = c->vncticket; *p; p++)
		REQUIRE((uint8_t)*p >= 0x20 && *p != 0x7F, "a control character in the ticket");
	REQUIRE(c->terminal ? *c->user && !strchr(c->user, ':') && !*c->password : *c->password && !*c->user,
		"no password or user");
	for (const char *p = c->user; *p; p++)
		REQUIRE((uint8_t)*p >= 0x20 && *p != 0x7F, "a control character in the user");
}

int __real_api_request_console(struct upstream *u);
int __wrap_api_request_console(struct upstream *u);
int __wrap_api_request_console(struct upstream *u)
{
	const int rc = __real_api_request_console(u);

	require_console(u->console, rc);
	REQUIRE(at_once == TLS_SOCKET_AT_ONCE, "%zu bytes at once in the relay", at_once);
	for (size_t i = 0; i < sizeof(u->early); i++)
		REQUIRE(u->early[i] == 0, "byte %zu of an answer is left", i);
	return rc;
}

/* Returns how often text[0..size) has what[0..n). */
static size_t count(const void *text, size_t size, const char *what, size_t n)
{
	const uint8_t *at = text, *end = at + size, *found;
	size_t times = 0;

	while ((found = memmem(at, (size_t)(end - at), what, n))) {
		times++;
		at = found + 1;
	}
	return times;
}

/* Requires that text has no secret, nor a part of one which Proxmox sent only as a whole. */
static void require_no_secret(const char *text, const struct console *c)
{
	const char *const secrets[] = { console_has_token(c) ? TOKEN_SECRET : TICKET, *c->csrf ? c->csrf : TOKEN };
	const struct peer *p = &world.upstream;

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		REQUIRE(!strstr(text, secrets[i]), "%s", text);
		REQUIRE(!memmem(text, strlen(text), secrets[i], PREFIX) ||
				count(p->bytes, p->sent, secrets[i], PREFIX) >
					count(p->bytes, p->sent, secrets[i], strlen(secrets[i])),
			"%s", text);
	}
	/* Our own words have neither. */
	REQUIRE(strncmp(c->vncticket, "PVEVNC:", 7) != 0 || !strstr(text, c->vncticket), "%s", text);
	REQUIRE(*c->password != '~' || !strstr(text, c->password), "%s", text);
}

/* Requires the path of a console: no text of Proxmox's changes which it is. */
static void require_path(const char *at, const char *eol)
{
	static const char *const ends[] = { "/qemu/100/vncproxy ", "/qemu/100/termproxy ", "/qemu/100/vncwebsocket?",
					    "/lxc/100/vncproxy ",  "/lxc/100/termproxy ",  "/lxc/100/vncwebsocket?" };
	const char *node = at + strlen("/api2/json/nodes/");
	size_t i = 0;

	if (strncmp(at, "/api2/json/version ", 19) == 0 ||
	    strncmp(at, "/api2/json/cluster/resources?type=vm ", 37) == 0)
		return;
	REQUIRE(strncmp(at, "/api2/json/nodes/", 17) == 0, "%.*s", (int)(eol - at), at);
	node += strspn(node, NAME);
	while (i < sizeof(ends) / sizeof(ends[0]) && strncmp(node, ends[i], strlen(ends[i])) != 0)
		i++;
	REQUIRE(i < sizeof(ends) / sizeof(ends[0]), "%.*s", (int)(eol - at), at);
}

/* Requires requests of the form that they must have, whatever Proxmox answered before. */
static void require_requests(const struct run *r)
{
	static const char *const lines[] = {
		"Host: ",
		"Authorization: ",
		"CSRFPreventionToken: ",
		"User-Agent: ",
		"Content-Type: ",
		"Upgrade: ",
		"Connection: ",
		"Sec-WebSocket-Version: ",
		"Sec-WebSocket-Key: ",
		"Sec-WebSocket-Protocol: ",
	};
	const char *at = r->sent, *end = r->sent + r->n_sent;

	while (at < end) {
		const bool post = end - at > 5 && memcmp(at, "POST ", 5) == 0;
		const char *eol = memmem(at, (size_t)(end - at), "\r\n", 2);
		size_t body = 0;

		if (!eol) /* it was cut off */
			return;
		REQUIRE(post || memcmp(at, "GET ", 4) == 0, "%.*s", (int)(eol - at), at);
		at += post ? 5 : 4;
		require_path(at, eol);
		REQUIRE(memcmp(eol - 9, " HTTP/1.1", 9) == 0, "%.*s", (int)(eol - at), at);
		for (const char *p = at; p < eol - 9; p++)
			REQUIRE(strchr("/?&=%-._~", *p) || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') ||
					(*p >= '0' && *p <= '9'),
				"%.*s", (int)(eol - at), at);
		for (at = eol + 2; (eol = memmem(at, (size_t)(end - at), "\r\n", 2)) && eol != at; at = eol + 2) {
			size_t i = 0;

			if (sscanf(at, "Content-Length: %zu\r\n", &body) == 1)
				continue;
			while (i < sizeof(lines) / sizeof(lines[0]) && strncmp(at, lines[i], strlen(lines[i])) != 0)
				i++;
			REQUIRE(i < sizeof(lines) / sizeof(lines[0]), "%.*s", (int)(eol - at), at);
			REQUIRE(post || i != 2, "the CSRF token of a GET");
		}
		if (!eol)
			return;
		at = eol + 2 + body;
	}
}

static void require_end(const struct run *r)
{
	const struct upstream *u = &r->u;
	const bool silent = r->rc == OK || r->rc == ERR_CLIENT_GONE || r->rc == END_TERMINATED || r->rc == ERR_SYSTEM;

	REQUIRE(world.now <= u->deadline, "%lld ms late", (long long)(world.now - u->deadline));
	REQUIRE(r->rc == OK || r->rc == ERR_UPSTREAM_TIMEOUT || r->rc == ERR_UPSTREAM_REFUSED ||
			r->rc == ERR_UPSTREAM_ANSWER || silent,
		"%d", r->rc);
	REQUIRE(r->rc != ERR_UPSTREAM_TIMEOUT || world.now == u->deadline, "too early");
	REQUIRE(r->rc != ERR_CLIENT_GONE || world.client.fin || world.client.reset, "the client is there");
	REQUIRE(r->rc != ERR_SYSTEM || world.settings.rest & 0x80, "%s", u->detail);
	REQUIRE(r->rc != OK || (*r->console.node && *r->console.vncticket && u->n_early <= sizeof(u->early)), "OK");
	REQUIRE(silent || strncmp(u->reason, error_info(r->rc)->words, strlen(error_info(r->rc)->words)) == 0, "%s",
		u->reason);
	REQUIRE(strlen(u->reason) < UPSTREAM_REASON_MAX && is_clean(u->reason), "%s", u->reason);
	REQUIRE(silent || *u->detail, "no detail");
	REQUIRE(is_clean(u->detail) && !strchr(u->detail, '"'), "%s", u->detail);
	REQUIRE(!strstr(u->reason, r->console.host), "%s", u->reason);
	require_no_secret(u->reason, &r->console);
	require_no_secret(u->detail, &r->console);
	REQUIRE(is_clean(u->guest_note), "%s", u->guest_note);
	REQUIRE(!u->tls, "the context is left");
	require_requests(r);
}

/* --- the world ------------------------------------------------------------------------------ */

void witness_read(bool from_client, const uint8_t *bytes, size_t n)
{
	REQUIRE(!from_client && bytes && n > 0, "the client's bytes are not for us");
}

void witness_written(bool to_client, const uint8_t *bytes, size_t n)
{
	REQUIRE(!to_client && current->n_sent + n < SENT_MAX, "%zu bytes", n);
	memcpy(current->sent + current->n_sent, bytes, n);
	current->n_sent += n;
}

void witness_log(const char *text, size_t n)
{
	REQUIRE(false, "%.*s", (int)n, text);
}

void witness_exit(int status)
{
	REQUIRE(false, "%d", status);
	abort();
}

bool witness_pong_due(void)
{
	return false;
}

void witness_wait(void)
{
}

/* --- runs ----------------------------------------------------------------------------------- */

static void set_console(struct console *c, unsigned options)
{
	*c = (struct console){ .vmid = 100, .type = options & OPTION_LXC ? "lxc" : "qemu", .login = true };
	c->terminal = options & OPTION_TERMINAL;
	c->late = !(options & OPTION_READY);
	snprintf(c->host, sizeof(c->host), "%s", options & OPTION_IPV6 ? "2001:db8::1" : "pve1.example.com");
	if (options & OPTION_NODE || !c->late)
		snprintf(c->node, sizeof(c->node), "pve1");
	snprintf(c->ticket, sizeof(c->ticket), "%s", options & OPTION_USER_TICKET ? TICKET : TOKEN);
	if (options & OPTION_USER_TICKET)
		snprintf(c->csrf, sizeof(c->csrf), CSRF);
	if (c->late)
		return;
	snprintf(c->vncticket, sizeof(c->vncticket), VNCTICKET);
	snprintf(c->password, sizeof(c->password), "~s3cr3t~");
	c->vnc_port = 5900;
}

/* Runs with the settings and events in world_input. chop is 0, or the size of the pieces that are
 * read and written. */
static void run(struct run *r, unsigned options, const uint8_t *world_input, size_t size, unsigned chop)
{
	struct endpoint client = io_endpoint(WORLD_CLIENT, NULL);

	current = r;
	r->n_sent = 0;
	set_console(&r->console, options);
	config = (struct config){ .connect_timeout = WAIT_S, .upstream_port = 8006 };
	begun = NULL;
	terminated = 0;
	world_begin(world_input, size, payloads_sealed(), PAYLOADS);
	world.chop = chop;
	world.chops = chop ? UINT32_MAX : 0;
	io_catch_sigterm();
	upstream_init(&r->u);
	r->rc = upstream_prepare(&r->u, &config, &access_);
	if (r->rc == OK)
		r->rc = upstream_dial(&r->u, &r->console, &client);
	if (r->rc == OK)
		r->rc = upstream_open(&r->u);
	world.on = false;
	SSL_free(begun);
	require_end(r);
}

/* Writes the events in which the answers come, in pieces of at most most bytes, or whole. Returns
 * their size. */
static size_t write_events(struct input in, uint8_t *events, unsigned most, bool whole)
{
	size_t at = 0;
	bool first = true;

	while (in.left > 0) {
		const uint8_t *nul = memchr(in.at, 0, in.left);
		const size_t left = nul ? (size_t)(nul - in.at) : in.left;
		size_t n = left < most ? left : most;

		if (n > 0) {
			events[at++] = EVENT_UPSTREAM_SENDS | (whole && !first ? EVENT_AT_ONCE : 0);
			events[at++] = (uint8_t)n;
			memcpy(events + at, take_bytes(&in, n, &n), n);
			at += n;
		}
		first = n == left;
		if (nul && first)
			take_byte(&in);
	}
	return at;
}

/* True if Proxmox sent more than an answer: where that is noticed depends on the pieces. */
static bool sent_more(const struct run *r)
{
	return strstr(r->u.detail, "it sent more than its answer");
}

static void require_same(const struct run *a, const struct run *b)
{
	if (sent_more(a) || sent_more(b))
		return;
	REQUIRE(a->rc == b->rc, "%d in pieces, %d whole", a->rc, b->rc);
	REQUIRE(strcmp(a->u.reason, b->u.reason) == 0 && strcmp(a->u.detail, b->u.detail) == 0, "%s, %s", a->u.detail,
		b->u.detail);
	REQUIRE(strcmp(a->u.guest_note, b->u.guest_note) == 0, "%s, %s", a->u.guest_note, b->u.guest_note);
	REQUIRE(memcmp(&a->console, &b->console, sizeof(a->console)) == 0, "not the same console");
	REQUIRE(a->n_sent == b->n_sent && memcmp(a->sent, b->sent, a->n_sent) == 0, "%.*s, %.*s", (int)a->n_sent,
		a->sent, (int)b->n_sent, b->sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t events[EVENTS_MAX];
	static struct run pieces, whole;
	struct input in = { data, size };
	const unsigned options = take_byte(&in), most = take_byte(&in);
	size_t n;
	const uint8_t *settings = take_bytes(&in, SETTINGS, &n);

	if (n < SETTINGS || 3 * in.left + SETTINGS > EVENTS_MAX)
		return 0;
	if (options & OPTION_EVENTS) {
		run(&whole, options, settings, SETTINGS + in.left, 0);
		return 0;
	}
	memcpy(events, settings, SETTINGS);
	n = write_events(in, events + SETTINGS, most ? most : 255, false);
	run(&pieces, options, events, SETTINGS + n, most & 0x80 ? most & 0x7F : 0);
	n = write_events(in, events + SETTINGS, 255, true);
	run(&whole, options, events, SETTINGS + n, 0);
	require_same(&pieces, &whole);
	return 0;
}
