/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the API's requests, reads the answers, and maps what they say to outcomes.
 */
#include "session/api.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/http.h"
#include "lib/http_body.h"
#include "lib/pages.h"
#include "lib/tls_socket.h"
#include "session/api_answer.h"
#include "session/guest_list.h"
#include "session/upstream.h"

enum {
	PATH_MAX_LEN = CONSOLE_HOST_MAX + 64, /* bytes of an API path, with its NUL */
	AT_ONCE = 4096,                       /* bytes of TLS read with one system call: a list needs no more memory */
	/* How long to wait for the body of an error, in ms. Its status and reason phrase have
	 * arrived, and say most of it. */
	ERROR_BODY_MS = 2000,
};

/* A request and what to do with its answer. */
struct call {
	const char *method, *path;
	const char *form; /* the body of a POST */
	const char *name; /* for log and client */
	bool is_list;     /* the answer is the list of guests, which is not kept */
};

/* The current answer. Static: untouched pages are never allocated. */
static struct {
	size_t used; /* bytes of text */
	union {
		char text[API_ANSWER_MAX];
		struct guest_list list;
	};
} answer PAGED;

/* Sets the reason of a failure: for the client known, for the log the rest, a format with the host
 * first. */
#define refuse(u, known, format, ...) \
	(upstream_fail(u, ERR_UPSTREAM_REFUSED, "%s", known), \
	 error_why((u)->detail, sizeof((u)->detail), ERR_UPSTREAM_REFUSED, "%.60s: " format, (u)->console->host, \
		   __VA_ARGS__))

/* Overwrites the current answer. */
static void wipe_answer(void)
{
	OPENSSL_cleanse(answer.text, answer.used);
	answer.used = 0;
}

/* --- one request -------------------------------------------------------------------------- */

/* Writes the request to u->early, which is unused until the answer comes. Returns its size, or
 * ERR_SYSTEM if it does not fit. */
static int write_request(struct upstream *u, const struct call *call)
{
	const struct console *c = u->console;
	const bool post = strcmp(call->method, "POST") == 0;
	char authority[CONSOLE_AUTHORITY_MAX], length[40] = "";
	int n;

	if (post)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(call->form));
	n = snprintf((char *)u->early, sizeof(u->early),
		     "%s /api2/json%s HTTP/1.1\r\n"
		     "Host: %s\r\n"
		     "Authorization: %s%s\r\n"
		     "%s%s%s"
		     "User-Agent: proxxy/" PROXXY_VERSION "\r\n"
		     "%s%s"
		     "\r\n"
		     "%s",
		     call->method, call->path, console_authority(c, u->port, authority),
		     console_has_token(c) ? "" : "PVEAuthCookie=", c->ticket,
		     /* A user's ticket needs it for a POST; a token does not. */
		     post && *c->csrf ? "CSRFPreventionToken: " : "", post ? c->csrf : "",
		     post && *c->csrf ? "\r\n" : "", post ? "Content-Type: application/x-www-form-urlencoded\r\n" : "",
		     length, post ? call->form : "");
	return n > 0 && (size_t)n < sizeof(u->early) ? n : ERR_SYSTEM;
}

/* Keeps a piece of the current answer's body. Returns 0 or ERR_UPSTREAM_ANSWER. */
static int take_content(const struct call *call, struct slice content, bool error)
{
	if (call->is_list && !error)
		return guest_list_read(&answer.list, content.at, content.len);
	if (content.len > sizeof(answer.text) - answer.used)
		return ERR_UPSTREAM_ANSWER;
	memcpy(answer.text + answer.used, content.at, content.len);
	answer.used += content.len;
	return OK;
}

/* Reads the body of the response r, of which u->early[at..*len) has come. Returns 0 or an error of
 * upstream_open(). */
static int read_body(struct upstream *u, const struct call *call, const struct http_response *r, size_t at, size_t len)
{
	const bool error = r->status != 200;
	const int64_t deadline = error ? io_earlier(u->deadline, io_now() + ERROR_BODY_MS) : u->deadline;
	struct http_body body;
	int done, rc = OK;

	http_body_begin(&body, r);
	for (;;) {
		struct slice content;
		size_t used;

		done = http_body_decode(&body, (char *)u->early + at, len - at, &used, &content);
		at += used;
		if (done < 0 || take_content(call, content, error) < 0)
			return upstream_fail(u, ERR_UPSTREAM_ANSWER, "its answer to %s is not from Proxmox's API",
					     call->name);
		if (done)
			break;
		if (at < len)
			continue;
		at = len = 0;
		rc = upstream_read_more(u, &len, deadline, "its answer is incomplete");
		if (rc < 0)
			return rc;
	}
	/* A second answer that nothing asked for would be read as that to the next request. */
	if (at < len)
		return upstream_fail(u, ERR_UPSTREAM_ANSWER, "it sent more than its answer to %s", call->name);
	return OK;
}

/* Turns the status r of an error into words. Returns ERR_UPSTREAM_REFUSED. */
static int refused(struct upstream *u, const struct call *call, int status, const char *reason)
{
	const struct slice phrase = { reason, strlen(reason) };
	struct api_refusal refusal;

	char known[UPSTREAM_REASON_MAX];

	api_answer_refusal(u->console, status, phrase, answer.text, answer.used, &refusal);
	snprintf(known, sizeof(known), "%d%s%s", status, *refusal.known ? " " : "", refusal.known);
	return refuse(u, known, "%s: %d%s%s%s%s", call->name, status, *refusal.words ? " " : "", refusal.words,
		      *refusal.hint ? "; " : "", refusal.hint);
}

/* Reads the answer to call. Returns 0 with a 200's body in answer, or an error of
 * upstream_open(). */
static int read_answer(struct upstream *u, const struct call *call)
{
	char late[64], reason[API_WORDS_MAX];
	struct http_response r;
	size_t len = 0;
	int head, rc;

	snprintf(late, sizeof(late), "it does not answer %s", call->name);
	head = upstream_read_head(u, &len, late, &r);
	if (head < 0)
		return head;
	if (r.status == 101)
		return upstream_fail(u, ERR_UPSTREAM_ANSWER, "its answer to %s is not from Proxmox's API", call->name);
	if (r.status == 200 && r.close)
		return refuse(u, "it closes the connection after its answer",
			      "it closes the connection after its answer to %s, so the console cannot follow: is "
			      "pveproxy near its limit of connections, or a proxy in front of it?",
			      call->name);
	/* Reading the body overwrites the head. A secret must be found before the phrase is cut
	 * off. */
	api_answer_quote(r.reason, u->console, reason, sizeof(reason));
	rc = read_body(u, call, &r, (size_t)head, len);
	if (r.status == 200 || rc == ERR_CLIENT_GONE || rc == END_TERMINATED || rc == ERR_SYSTEM)
		return rc;
	return refused(u, call, r.status, reason);
}

/* Sends a request and reads its answer. Returns as read_answer(). */
static int perform(struct upstream *u, const struct call *call)
{
	int n = write_request(u, call), rc;

	wipe_answer();
	if (call->is_list)
		guest_list_begin(&answer.list, u->console->vmid, u->console->type);
	if (n < 0)
		return n;
	rc = io_write_all(&u->endpoint, u->early, (size_t)n, u->deadline);
	OPENSSL_cleanse(u->early, (size_t)n);
	/* If Proxmox closed the connection, it may have sent its reason before. */
	if (rc < 0 && rc != IO_BROKEN)
		return upstream_map_wait(u, rc, "it does not accept the request");
	return read_answer(u, call);
}

/* --- the requests ------------------------------------------------------------------------- */

/* Asks for the release. Returns it as api_answer_release() does, or an error of upstream_open(). */
static int ask_release(struct upstream *u)
{
	int rc = perform(u, &(struct call){ "GET", "/version", NULL, "version", false });

	if (rc < 0)
		return rc;
	rc = api_answer_release(answer.text, answer.used);
	return rc < 0 ? upstream_fail(u, rc, "its answer to version is not from Proxmox's API") : rc;
}

/* Finds the guest's node. Returns 0 with u->console->node, or an error of upstream_open(). */
static int find_node(struct upstream *u)
{
	const struct guest_list *list = &answer.list;
	struct console *c = u->console;
	int rc = perform(u, &(struct call){ "GET", "/cluster/resources?type=vm", NULL, "the list of guests", true });

	if (rc < 0)
		return rc;
	if (guest_list_end(&answer.list) < 0)
		return upstream_fail(u, ERR_UPSTREAM_ANSWER, "its list of guests is not complete");
	if (list->place == GUEST_MISSING)
		return refuse(
			u, "no such guest",
			"its list has no guest %u: it does not exist, or the user, or the token, has no role with "
			"VM.Audit on it%s",
			c->vmid, list->has_long ? "; an entry of more than 8 KiB was not read" : "");
	if (list->place == GUEST_OTHER_TYPE)
		return refuse(u, "the guest is of the other type", "guest %u is a %s: type must be %s", c->vmid,
			      strcmp(c->type, "qemu") == 0 ? "container" : "VM",
			      strcmp(c->type, "qemu") == 0 ? "lxc" : "qemu");
	if (list->is_template)
		return refuse(u, "the guest is a template", "guest %u is a template, which has no console", c->vmid);
	memcpy(c->node, list->node, sizeof(c->node));
	/* Proxmox opens a console for such a guest too. */
	if (list->status == GUEST_STOPPED)
		u->guest_note = "the guest is off";
	else if (list->status == GUEST_UNKNOWN)
		u->guest_note = "the guest's node is off, or does not report to the cluster";
	return OK;
}

/* Requests the console. Returns 0 with u->console complete, or an error of upstream_open(). */
static int request_console(struct upstream *u, bool generate_password)
{
	struct console *c = u->console;
	char path[PATH_MAX_LEN];
	const char *const name = c->terminal ? "termproxy" : "vncproxy", *why = "";
	struct call call = { "POST", path, c->terminal ? "" : "websocket=1", name, false };
	int rc;

	if (generate_password)
		call.form = "websocket=1&generate-password=1";
	snprintf(path, sizeof(path), "/nodes/%s/%s/%u/%s", c->node, c->type, c->vmid, name);
	rc = perform(u, &call);
	if (rc == ERR_UPSTREAM_TIMEOUT) /* pveproxy passes the request on to that node */
		return error_why(u->detail, sizeof(u->detail), rc, "%.60s: it does not answer %s: is node %.100s on?",
				 c->host, name, c->node);
	if (rc < 0)
		return rc;
	rc = api_answer_console(answer.text, answer.used, c, &why);
	return rc < 0 ? upstream_fail(u, rc, "%s", why) : OK;
}

int api_request_console(struct upstream *u)
{
	const struct console *c = u->console;
	bool generate_password = false;
	int rc = OK;

	tls_socket_limit(u->endpoint.tls, AT_ONCE);
	if (!c->terminal && strcmp(c->type, "qemu") == 0) {
		rc = ask_release(u);
		generate_password = rc >= 0 && rc < API_RELEASE_9_2;
	}
	if (rc >= 0 && !*c->node)
		rc = find_node(u);
	if (rc >= 0)
		rc = request_console(u, generate_password);
	tls_socket_limit(u->endpoint.tls, TLS_SOCKET_AT_ONCE);
	wipe_answer();
	OPENSSL_cleanse(u->early, sizeof(u->early));
	pages_release(u->early, sizeof(u->early));
	pages_release(&answer, sizeof(answer));
	return rc < 0 ? rc : OK;
}
