/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes a request to end a session on to proxxy-end.socket. proxxy-status.c calls it.
 */
#include "status/end.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "lib/hex.h"
#include "status/bus.h"
#include "status/ender.h"
#include "status/origin.h"
#include "status/report.h"
#include "status/session_text.h"

#define BEFORE "/api/sessions/"
#define AFTER "/end"

enum {
	BEFORE_LEN = sizeof(BEFORE) - 1,
	AFTER_LEN = sizeof(AFTER) - 1,
	ENDER_TIMEOUT_S = 15, /* for each step; the ender's own limits are shorter */
	OPERATOR_MAX = 128,   /* bytes of an operator's name in the log */
};

bool end_is_path(struct slice path, struct slice *ret_unit)
{
	if (path.len <= BEFORE_LEN + AFTER_LEN || memcmp(path.at, BEFORE, BEFORE_LEN) != 0 ||
	    memcmp(path.at + path.len - AFTER_LEN, AFTER, AFTER_LEN) != 0)
		return false;
	*ret_unit = (struct slice){ path.at + BEFORE_LEN, path.len - BEFORE_LEN - AFTER_LEN };
	return !memchr(ret_unit->at, '/', ret_unit->len);
}

/* Decodes percent-encoded text to the name of a session's unit, NUL-terminated. Returns false if it
 * is none. */
static bool decode_unit(struct slice text, char unit[SESSION_UNIT_MAX + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (c == '%') {
			const int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
			const int low = i + 2 < text.len ? hex_digit(text.at[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (len == SESSION_UNIT_MAX)
			return false;
		unit[len++] = c;
	}
	unit[len] = '\0';
	return session_is_unit((struct slice){ unit, len });
}

/* --- the ender ---------------------------------------------------------------------------- */

/* Connects to the ender. Returns the socket, or a negative errno. */
static int connect_ender(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ENDER_SOCKET };
	const struct timeval timeout = { .tv_sec = ENDER_TIMEOUT_S };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Asks the ender to end the unit, and reads its answer. Returns >= 0, or a negative errno. */
static int ask_ender(const char *unit, char answer[ENDER_ANSWER_MAX])
{
	char line[SESSION_UNIT_MAX + 2];
	const int n = snprintf(line, sizeof(line), "%s\n", unit), fd = connect_ender();
	size_t len = 0;
	int rc = 0;

	if (fd < 0)
		return fd;
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		rc = -EIO;
	while (rc == 0 && len < ENDER_ANSWER_MAX - 1) {
		const ssize_t got = recv(fd, answer + len, ENDER_ANSWER_MAX - 1 - len, 0);

		if (got < 0)
			rc = -errno;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	answer[len] = '\0';
	close(fd);
	return rc;
}

/* --- the log ------------------------------------------------------------------------------ */

/* Copies the operator's name for the log. A byte that is not visible ASCII or a space becomes
 * '?'. */
static void copy_name(struct slice name, char ret[OPERATOR_MAX + 1])
{
	const size_t len = name.len < OPERATOR_MAX ? name.len : OPERATOR_MAX;

	for (size_t i = 0; i < len; i++)
		ret[i] = (char)(name.at[i] >= ' ' && name.at[i] < 0x7F ? name.at[i] : '?');
	ret[len] = '\0';
}

/* Returns the session's status text, which the caller frees, or NULL. */
static char *get_status(sd_bus *bus, const char *unit)
{
	char *path = NULL, *status = NULL;

	if (sd_bus_path_encode(MANAGER_PATH "/unit", unit, &path) >= 0 &&
	    bus_text(bus, path, SERVICE_INTERFACE, "StatusText", &status) < 0)
		status = NULL;
	free(path);
	return status;
}

static void log_end(const struct http_request *request, const char *unit, const char *status)
{
	char name[OPERATOR_MAX + 1];

	copy_name(request->remote_user, name);
	sd_journal_send("MESSAGE=Session ended by %s: %s, %s", *name ? name : "an operator", unit,
			status && *status ? status : "no console yet", "PRIORITY=%d", LOG_NOTICE,
			"SYSLOG_IDENTIFIER=proxxy-status", "PROXXY_UNIT=%s", unit, "PROXXY_OPERATOR=%s", name, NULL);
}

/* --- the answer --------------------------------------------------------------------------- */

static struct answer answer_ended(const char *unit)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "unit", json_object_new_string(unit));
	json_object_object_add(object, "ended", json_object_new_boolean(true));
	return answer_json(object);
}

static struct answer no_ender(int rc)
{
	report("%s cannot be asked: %s", ENDER_SOCKET, strerror(-rc));
	return answer_error(503, "", "Sessions cannot be ended: proxxy-end.socket does not answer");
}

struct answer end_answer(sd_bus *bus, const struct http_request *request, struct slice text)
{
	char unit[SESSION_UNIT_MAX + 1], answer[ENDER_ANSWER_MAX], *status;
	int rc;

	if (!slice_is(request->action, "end"))
		return answer_error(403, "", "To end a session, send the header field Proxxy-Action: end");
	if (!origin_is_own(request))
		return answer_error(403, "", "The request comes from a page of another site");
	if (!decode_unit(text, unit))
		return answer_error(404, "", "There is no such session");
	status = get_status(bus, unit);
	rc = ask_ender(unit, answer);
	if (rc >= 0 && strcmp(answer, ENDER_DONE) == 0)
		log_end(request, unit, status);
	free(status);
	if (rc < 0)
		return no_ender(rc);
	if (strcmp(answer, ENDER_DONE) == 0)
		return answer_ended(unit);
	if (strcmp(answer, ENDER_GONE) == 0)
		return answer_error(404, "", "There is no such session");
	return answer_error(503, "", "The session could not be ended; the journal says why");
}
