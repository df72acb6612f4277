/* SPDX-License-Identifier: Apache-2.0
 *
 * Chooses where records go, and formats them: fields for the journal, one line for the others.
 * proxxy-conn.c calls it; sink.c sends.
 */
#include "session/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"
#include "lib/terminal.h"
#include "session/sink.h"
#include "session/systemd.h"

#define IDENTIFIER "proxxy-conn"
#define SYSLOG_SOCKET "/dev/log"

/* Never change these: message catalogs (deploy/proxxy.catalog) and alerts refer to them. */
#define ID_BEGIN "44986482028040d1a59ea29db9241df0"
#define ID_END "178fa1844e43409a8c44d62112e78ced"
#define ID_REFUSED "f4e5318d3a4c416b8431f45119748846"

enum {
	FIELDS_MAX = 24,
	FIELD_MAX = 512, /* bytes of "NAME=value"; the longest is a detail or a host name */
};

struct record {
	char fields[FIELDS_MAX][FIELD_MAX];
	size_t n;
};

static enum log_target log_target = LOG_TO_STDERR;

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* True if systemd connected fd to the journal: it sets JOURNAL_STREAM to that socket's
 * "device:inode". */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char actual[64];
	struct stat st;

	if (!stream || fstat(fd, &st) < 0)
		return false;
	snprintf(actual, sizeof(actual), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, actual) == 0;
}

int log_open(enum log_target target)
{
	const bool inetd = same_file(STDERR_FILENO, STDIN_FILENO);

	if (target == LOG_TO_AUTO) {
		if (is_journal(STDERR_FILENO))
			target = LOG_TO_JOURNAL;
		else if (inetd)
			target = access(SYSTEMD_JOURNAL, W_OK) == 0 ? LOG_TO_JOURNAL : LOG_TO_SYSLOG;
		else
			target = LOG_TO_STDERR;
	}
	if (inetd) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (target == LOG_TO_STDERR)
			target = LOG_TO_SYSLOG;
		if (null < 0 || dup2(null, STDERR_FILENO) < 0)
			return ERR_SYSTEM;
		close(null);
	}
	if (target == LOG_TO_JOURNAL && systemd_open_journal() < 0)
		target = inetd ? LOG_TO_SYSLOG : LOG_TO_STDERR;
	if (target == LOG_TO_SYSLOG) {
		tzset();                               /* now, because the sandbox will not let it open its file */
		(void)sink_open_socket(SYSLOG_SOCKET); /* an error cannot be reported anywhere */
	} else if (target == LOG_TO_STDERR) {
		sink_open_stderr();
	}
	log_target = target;
	return OK;
}

/* Adds a field "NAME=value"; drops it if the record is full. */
static void __attribute__((format(printf, 2, 3))) add(struct record *r, const char *format, ...)
{
	va_list args;

	if (r->n == FIELDS_MAX)
		return;
	va_start(args, format);
	vsnprintf(r->fields[r->n], FIELD_MAX, format, args);
	va_end(args);
	terminal_clean(r->fields[r->n++]); /* a terminal may show it */
}

/* Adds a text of the payload's, if there is one. In a line, values with a space are in quotes: the
 * text must not end them. */
static void add_claim(struct record *r, const char *format, const char *text)
{
	if (!*text || r->n == FIELDS_MAX)
		return;
	add(r, format, text);
	for (char *quote = r->fields[r->n - 1]; (quote = strchr(quote, '"'));)
		*quote = '\'';
}

/* Adds the fields that say which session it is. */
static void add_session(struct record *r, const struct session *s)
{
	add(r, "PROXXY_PEER=%s", s->client->peer);
	if (*s->client->name)
		add(r, "PROXXY_CLIENT=%s", s->client->name);
	if (s->console) {
		add(r, "PROXXY_VMID=%" PRIu32, s->console->vmid);
		add(r, "PROXXY_TYPE=%s", s->console->type);
		if (*s->console->node) /* else Proxmox was not asked yet */
			add(r, "PROXXY_NODE=%s", s->console->node);
		add(r, "PROXXY_HOST=%s", s->console->host);
	}
	if (s->cluster && *s->cluster)
		add(r, "PROXXY_CLUSTER=%s", s->cluster);
	add_claim(r, "PROXXY_SUB=%s", s->sub);
	add_claim(r, "PROXXY_JTI=%s", s->jti);
	if (s->format)
		add(r, "PROXXY_FORMAT=%s", s->format);
	if (s->kid && *s->kid)
		add(r, "PROXXY_KID=%s", s->kid);
}

/* Sends the record as one line: the message, then each field as name=value. */
static void write_line(int priority, const char *message, const struct record *r)
{
	char line[SINK_LINE_MAX - 64], text[SINK_LINE_MAX], head[48] = "", stamp[32];
	const time_t now = time(NULL);
	struct tm local;
	size_t n = (size_t)snprintf(line, sizeof(line), "%s", message);

	for (size_t i = 0; i < r->n && n < sizeof(line); i++) {
		const char *field = r->fields[i], *equals = strchr(field, '=');
		const char *value = equals + 1;
		const bool quote = strchr(value, ' ') || !*value;

		if (strncmp(field, "PROXXY_", 7) != 0)
			continue;
		n += (size_t)snprintf(line + n, sizeof(line) - n, " ");
		for (const char *p = field + 7; p < equals && n < sizeof(line) - 1; p++)
			line[n++] = (char)(*p == '_' ? '_' : *p | 0x20);
		n += (size_t)snprintf(line + n, sizeof(line) - n, quote ? "=\"%s\"" : "=%s", value);
	}
	/* The header of RFC 3164 section 4.1. syslog(3) would write it too, but blocks if the
	 * logger does not read. */
	if (log_target == LOG_TO_SYSLOG && localtime_r(&now, &local) &&
	    strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &local) > 0)
		snprintf(head, sizeof(head), "<%d>%s ", LOG_DAEMON | priority, stamp);
	n = (size_t)snprintf(text, sizeof(text), "%s" IDENTIFIER "[%d]: %s%s", head, (int)getpid(), line,
			     log_target == LOG_TO_SYSLOG ? "" : "\n");
	sink_put(text, n < sizeof(text) ? n : sizeof(text) - 1);
}

/* Sends a record in the form that its destination needs. message_id may be NULL. */
static void emit(int priority, const char *message_id, const char *message, struct record *r)
{
	const char *fields[FIELDS_MAX];

	if (log_target != LOG_TO_JOURNAL) {
		write_line(priority, message, r);
		return;
	}
	add(r, "PRIORITY=%d", priority);
	add(r, "SYSLOG_IDENTIFIER=" IDENTIFIER);
	if (message_id)
		add(r, "MESSAGE_ID=%s", message_id);
	add(r, "MESSAGE=%s", message);
	for (size_t i = 0; i < r->n; i++)
		fields[i] = r->fields[i];
	systemd_record(fields, r->n);
}

const char *log_place(const struct session *s)
{
	if (*s->console->node)
		return s->console->node;
	return s->cluster && *s->cluster ? s->cluster : s->console->host;
}

/* Appends a text of the payload's as a JSON string with its name, if there is one. It has no
 * control characters. */
static size_t append_claim(char *text, size_t n, const char *name, const char *claim)
{
	if (!claim || !*claim)
		return n;
	n += (size_t)snprintf(text + n, LOG_STATUS_MAX - n, "%s %s \"", strstr(text, "; ") ? "," : ";", name);
	for (; *claim; claim++) {
		if (*claim == '"' || *claim == '\\')
			text[n++] = '\\';
		text[n++] = *claim;
	}
	text[n++] = '"';
	text[n] = '\0';
	return n;
}

const char *log_status(const struct session *s, char text[LOG_STATUS_MAX])
{
	const bool known = *s->client->address;
	size_t n = (size_t)snprintf(text, LOG_STATUS_MAX, "%s %" PRIu32 " on %.253s%s%s", s->console->type,
				    s->console->vmid, log_place(s), known ? " for " : "",
				    known ? s->client->address : "");

	n = append_claim(text, n, "sub", s->sub);
	n = append_claim(text, n, "jti", s->jti);
	append_claim(text, n, "kid", s->kid);
	return terminal_clean(text);
}

void log_begin(const struct session *s)
{
	struct record r;
	char message[FIELD_MAX];

	snprintf(message, sizeof(message), "Session began: %s %" PRIu32 " on %s", s->console->type, s->console->vmid,
		 log_place(s));
	r.n = 0;
	add_session(&r, s);
	emit(LOG_INFO, ID_BEGIN, message, &r);
}

/* Writes the message of an end: what, the outcome's words and the detail. */
static void outcome_words(const struct session *s, char *message, size_t size, const char *what)
{
	snprintf(message, size, "%s: %s%s%s", what, error_info(s->outcome)->words, *s->detail ? ": " : "", s->detail);
	terminal_clean(message);
}

void log_end(const struct session *s, int64_t now)
{
	const struct error_info *info = error_info(s->outcome);
	struct record r;
	char message[FIELD_MAX];

	r.n = 0;
	outcome_words(s, message, sizeof(message), "Session ended");
	add_session(&r, s);
	add(&r, "PROXXY_OUTCOME=%s", info->name);
	if (s->close_code)
		add(&r, "PROXXY_CLOSE_CODE=%d", s->close_code);
	add(&r, "PROXXY_BYTES_UP=%" PRIu64, s->bytes_up);
	add(&r, "PROXXY_BYTES_DOWN=%" PRIu64, s->bytes_down);
	add(&r, "PROXXY_DURATION=%" PRId64 ".%03d", (now - s->began) / 1000, (int)((now - s->began) % 1000));
	emit(info->priority, ID_END, message, &r);
}

void log_refused(const struct session *s)
{
	const struct error_info *info = error_info(s->outcome);
	struct record r;
	char message[FIELD_MAX];

	r.n = 0;
	outcome_words(s, message, sizeof(message), "Request refused");
	add_session(&r, s);
	add(&r, "PROXXY_OUTCOME=%s", info->name);
	if (info->http_status && !s->upgrade_sent)
		add(&r, "PROXXY_STATUS=%d", info->http_status);
	if (s->close_code)
		add(&r, "PROXXY_CLOSE_CODE=%d", s->close_code);
	emit(info->priority, ID_REFUSED, message, &r);
}

void log_warning(const char *message)
{
	struct record r;

	r.n = 0;
	emit(LOG_WARNING, NULL, message, &r);
}

void log_close(void)
{
	unsigned lost;
	char message[FIELD_MAX];

	sink_drain(io_now() + SINK_DRAIN_MS);
	lost = sink_take_lost();
	if (lost > 0) {
		snprintf(message, sizeof(message), "%u records of this session were lost: the log did not accept them",
			 lost);
		log_warning(message);
	}
}
