/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements upstream.h for fuzz_session.c, without DNS, TCP and TLS. Proxmox is a descriptor of
 * the modelled world. The world's settings choose whether connecting to it succeeds, and when.
 */
#include "tests/fuzz/session/world.h"

#include <poll.h>

#include "lib/error.h"
#include "session/upstream.h"
#include "tests/fuzz/session/payloads.h"

void upstream_init(struct upstream *u)
{
	memset(u, 0, offsetof(struct upstream, early));
	u->endpoint = io_endpoint(-1, NULL);
	u->guest_note = "";
}

int upstream_prepare(struct upstream *u, const struct config *config, const struct access *access)
{
	u->config = config;
	u->access = access;
	if (!(world.settings.upstream & 0x80))
		return OK;
	snprintf(u->detail, sizeof(u->detail), "PROXXY_CA_FILE /nonexistent: no certificate can be read from it");
	return ERR_CONFIG;
}

static int fail(struct upstream *u, int code)
{
	snprintf(u->reason, sizeof(u->reason), "%s: modelled", error_info(code)->words);
	snprintf(u->detail, sizeof(u->detail), "%.120s: modelled", u->console->host);
	return code;
}

/* The bits of settings.upstream: the low four are the outcome. 0x10: it comes only when Proxmox
 * sends something, or at the deadline. 0x20: the frames that have arrived by then are read with it.
 * 0x40: the client answers Pings (libc.c). */
static int outcome(void)
{
	static const int outcomes[16] = {
		[8] = ERR_UPSTREAM_REFUSED, ERR_UPSTREAM_RESOLVE, ERR_UPSTREAM_CONNECT, ERR_UPSTREAM_TIMEOUT,
		ERR_UPSTREAM_UNTRUSTED,     ERR_UPSTREAM_ANSWER,  ERR_HOST_FORBIDDEN,   ERR_SYSTEM,
	};

	return outcomes[world.settings.upstream & 15];
}

static int conclude(struct upstream *u)
{
	int rc;

	if (world.settings.upstream & 0x10) {
		rc = io_wait(&u->endpoint, POLLIN, u->client, u->deadline);
		if (rc == IO_TIMEOUT)
			return fail(u, ERR_UPSTREAM_TIMEOUT);
		if (rc < 0)
			return rc == IO_HANGUP ? ERR_CLIENT_GONE : rc == IO_TERMINATED ? END_TERMINATED : rc;
	}
	if (outcome() == OK || outcome() == ERR_SYSTEM)
		return outcome(); /* these have no reason text */
	return fail(u, outcome());
}

int upstream_dial(struct upstream *u, struct console *c, const struct endpoint *client)
{
	REQUIRE(*c->ticket && (*c->vncticket || c->late) && u->access, "a console without its tickets");
	u->console = c;
	u->client = client;
	u->endpoint = io_endpoint(WORLD_UPSTREAM, NULL);
	u->deadline = io_now() + u->config->connect_timeout * INT64_C(1000);
	switch (outcome()) {
	case ERR_UPSTREAM_RESOLVE:
	case ERR_UPSTREAM_CONNECT:
	case ERR_HOST_FORBIDDEN:
		return conclude(u);
	default:
		return OK;
	}
}

/* Completes a console as Proxmox's answer to vncproxy or termproxy does. */
static void complete(struct upstream *u)
{
	struct console *c = u->console;

	if (!*c->node) {
		snprintf(c->node, sizeof(c->node), "pve2");
		u->guest_note = "the guest is off";
	}
	snprintf(c->vncticket, sizeof(c->vncticket), VNCTICKET);
	c->vnc_port = 5901;
	if (c->terminal)
		snprintf(c->user, sizeof(c->user), CONSOLE_USER);
	else
		snprintf(c->password, sizeof(c->password), VNC_PASSWORD);
}

int upstream_open(struct upstream *u)
{
	const struct console *c = u->console;
	int rc = conclude(u);

	if (rc == OK && c->late)
		complete(u);
	REQUIRE(*c->ticket && (*c->vncticket || rc < 0), "tickets that are wiped before they are used");
	if (rc == OK && world.settings.upstream & 0x20) {
		ssize_t n = io_read(&u->endpoint, u->early, sizeof(u->early));

		if (n == IO_END || n == IO_BROKEN)
			return fail(u, ERR_UPSTREAM_ANSWER);
		u->n_early = n > 0 ? (size_t)n : 0;
	}
	return rc;
}

void upstream_end_secrets(struct upstream *u)
{
	(void)u;
}

void upstream_close(struct upstream *u)
{
	upstream_init(u);
}
