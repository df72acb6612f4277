/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements login_model.h with reference_rfb.h.
 */
#include "tests/fuzz/session/login_model.h"

#include "lib/error.h"

void login_model_begin(struct login_model *m, const struct console *c)
{
	REQUIRE(!m->began, "a second login");
	REQUIRE(*c->vncticket && *(c->terminal ? c->user : c->password), "a login without secrets");
	m->began = true;
	m->terminal = c->terminal;
	memcpy(m->password, c->password, sizeof(m->password));
	snprintf(m->line, sizeof(m->line), "%s:%s\n", c->user, c->vncticket);
	m->seen[RFB_SERVER] = SIZE_MAX;
}

static void update_terminal(struct login_model *m, const uint8_t *console, size_t n_console)
{
	const size_t n = n_console < 2 ? n_console : 2;

	m->due[RFB_SERVER] = strlen(m->line);
	m->taken[RFB_SERVER] = n;
	m->rfb.result = n > 0 && memcmp(console, "OK", n) != 0 ? RFB_SERVER_INVALID : n == 2 ? RFB_DONE : RFB_MORE;
}

static void update_vnc(struct login_model *m, struct input console, struct input client)
{
	bool waits;

	m->rfb = (struct reference_rfb){ 0 };
	m->rfb.result = reference_console(&console, &m->rfb, &waits);
	m->taken[RFB_SERVER] = m->rfb.used;
	if (m->rfb.result == RFB_DONE) {
		m->rfb.result = reference_client(&client, &m->rfb, waits);
		m->taken[RFB_CLIENT] = m->rfb.used - m->taken[RFB_SERVER];
	}
	memcpy(m->due, m->rfb.n_sent, sizeof(m->due));
}

void login_model_update(struct login_model *m, const uint8_t *console, size_t n_console, const uint8_t *client,
			size_t n_client)
{
	if (!m->began || m->rfb.result != RFB_MORE ||
	    (m->seen[RFB_SERVER] == n_console && m->seen[RFB_CLIENT] == n_client))
		return;
	m->seen[RFB_SERVER] = n_console;
	m->seen[RFB_CLIENT] = n_client;
	if (m->terminal)
		update_terminal(m, console, n_console);
	else
		update_vnc(m, (struct input){ console, n_console }, (struct input){ client, n_client });
}

PER_BYTE bool login_model_sends(const struct login_model *m, enum rfb_peer to)
{
	/* Before its end, only the login sends. */
	return m->began && (m->rfb.result != RFB_DONE || m->sent[to] < m->due[to]);
}

void login_model_byte(struct login_model *m, enum rfb_peer to, uint8_t byte)
{
	const size_t at = m->sent[to]++, in_response = at - m->rfb.response;
	const uint8_t *expected = m->terminal ? (const uint8_t *)m->line : m->rfb.sent[to];

	REQUIRE(at < m->due[to], "byte %zu of the login to %d", at, to);
	m->greeted |= to == RFB_CLIENT && at == LOGIN_MODEL_GREETING - 1;
	if (to == RFB_CLIENT || !m->rfb.challenge || in_response >= RESPONSE) {
		REQUIRE(byte == expected[at], "byte %zu of the login to %d", at, to);
		return;
	}
	m->response[in_response] = byte;
	if (in_response == RESPONSE - 1)
		reference_check_response(m->password, m->rfb.challenge, m->response);
}

void login_model_end(const struct login_model *m, int outcome, const struct login_end *end)
{
	const int result = m->rfb.result;
	const bool heard = m->seen[RFB_SERVER] > 0 && m->seen[RFB_SERVER] != SIZE_MAX;
	bool can_be = false;

	switch (outcome) {
	case OK:
		can_be = result == RFB_DONE && m->sent[RFB_SERVER] == m->due[RFB_SERVER] &&
			 m->sent[RFB_CLIENT] == m->due[RFB_CLIENT];
		break;
	case END_UPSTREAM_EMPTY:
		can_be = !m->terminal && end->console_ended && !heard;
		break;
	case END_PASSWORD_REFUSED:
		can_be = m->rfb.refused && (result == RFB_REFUSED || end->console_ended);
		break;
	case END_LOGIN_REFUSED:
		can_be = m->terminal && end->console_ended && result == RFB_MORE;
		break;
	case ERR_UPSTREAM_LOGIN:
		can_be = result == RFB_SERVER_INVALID || result == RFB_NO_AUTH ||
			 (!m->terminal && result == RFB_MORE && end->console_ended && heard && !m->rfb.refused);
		break;
	case ERR_CLIENT_VNC:
		can_be = result == RFB_CLIENT_INVALID || end->late;
		break;
	case ERR_UPSTREAM_TIMEOUT:
		can_be = end->late;
		break;
	case ERR_UPSTREAM_PROTOCOL:
		can_be = end->console_violates;
		break;
	case ERR_UPSTREAM_BROKE:
		can_be = end->console_broke || (m->greeted && end->console_ended);
		break;
	case END_CLIENT_CLOSED:
		can_be = end->client_closed;
		break;
	case ERR_CLIENT_PROTOCOL:
		can_be = end->client_violates;
		break;
	case ERR_CLIENT_GONE:
		can_be = end->client_broke;
		break;
	case END_TERMINATED:
		can_be = end->terminated;
		break;
	case ERR_SYSTEM:
		can_be = end->without_random;
		break;
	default:
		break;
	}
	REQUIRE(can_be, "outcome %d of a login, the reference says %d", outcome, result);
}
