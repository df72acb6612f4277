/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls Proxmox's API through libcurl, and turns each failure into a sentence with a hint.
 */
#include "url/proxmox.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "lib/uri.h"

enum {
	PATH_MAX_LEN = CONSOLE_HOST_MAX + 128, /* bytes of an API path, with its NUL */
	HEADER_MAX = CONSOLE_TICKET_MAX + 64,  /* bytes of a header line, with its NUL */
	REASON_MAX = 256,                      /* bytes of a reason phrase, with its NUL */
	ERRORS_MAX = 160,                      /* bytes of a 400's list of bad parameters, with its NUL */
};

/* One or more API calls with the same headers, and the answer to the last. */
struct call {
	struct proxmox *proxmox;
	struct curl_slist *headers;
	char curl_error[CURL_ERROR_SIZE];
	char reason[REASON_MAX];
	char body[PROXMOX_ANSWER_MAX]; /* may hold tickets */
	size_t n_body;
	bool too_long;   /* the body is longer than PROXMOX_ANSWER_MAX */
	bool has_tls;    /* the handshake is complete */
	bool has_head;   /* the answer's head is complete */
	bool has_length; /* the head gives the body's length; otherwise the connection's end ends it */
};

/* Sets p->why. Returns code. */
#define fail(p, code, ...) error_why((p)->why, sizeof((p)->why), code, __VA_ARGS__)

/* --- one call ----------------------------------------------------------------------------- */

/* CURLOPT_WRITEFUNCTION: stores a part of the body. */
static size_t take_body(char *data, size_t one, size_t n, void *arg)
{
	struct call *call = arg;

	(void)one;
	if (n >= sizeof(call->body) - call->n_body) {
		call->too_long = true;
		return 0;
	}
	memcpy(call->body + call->n_body, data, n);
	call->n_body += n;
	return n;
}

static bool begins(const char *line, size_t n, const char *name)
{
	return n >= strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

/* CURLOPT_HEADERFUNCTION: reads one line of the head. Stores the reason phrase of the first, in
 * which Proxmox describes errors. */
static size_t take_header(char *line, size_t one, size_t n, void *arg)
{
	struct call *call = arg;
	const char *space;
	size_t len = 0;

	(void)one;
	call->has_head = n > 0 && (*line == '\r' || *line == '\n');
	call->has_length |= begins(line, n, "Content-Length:") || begins(line, n, "Transfer-Encoding:");
	if (!begins(line, n, "HTTP/"))
		return n;
	call->has_length = false;
	space = memchr(line, ' ', n);
	if (space && (size_t)(line + n - space) > 5)
		for (const char *at = space + 5;
		     at < line + n && *at != '\r' && *at != '\n' && len < sizeof(call->reason) - 1; at++)
			call->reason[len++] = *at >= 0x20 && *at < 0x7F ? *at : '?';
	call->reason[len] = '\0';
	return n;
}

/* Returns true if libcurl's error text says that the server ended the connection, in TLS or
 * without. The text depends on the versions of libcurl and OpenSSL. */
static bool was_closed(const char *text)
{
	static const char *const words[] = { "SSL_ERROR_SYSCALL", "reset by peer", "unexpected eof",
					     "Connection was reset", "Broken pipe" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(text, words[i]))
			return true;
	return false;
}

/* Returns true if the connection ended during an exchange. */
static bool connection_ended(const struct call *call, CURLcode code)
{
	return code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE ||
	       (code == CURLE_RECV_ERROR && was_closed(call->curl_error));
}

/* Describes a call without a complete answer, from libcurl's code and error text. Returns our
 * code. */
static int describe_no_answer(struct call *call, CURLcode code)
{
	struct proxmox *p = call->proxmox;
	const char *text = *call->curl_error ? call->curl_error : curl_easy_strerror(code);

	/* The code depends on libcurl's version. */
	if (!call->has_tls && was_closed(text) &&
	    (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR))
		return fail(p, ERR_UPSTREAM_TLS,
			    "%s: %s. It closed the connection before TLS began: check that "
			    "ALLOW_FROM and DENY_FROM in its /etc/default/pveproxy allow this machine",
			    p->host, text);
	if (connection_ended(call, code))
		return fail(p, ERR_UPSTREAM_BROKE, "%s: %s", p->host,
			    p->status ? "its answer is incomplete" : "Empty reply from server");
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return fail(p, ERR_UPSTREAM_RESOLVE, "%s: %s", p->host, text);
	case CURLE_COULDNT_CONNECT:
		return fail(p, ERR_UPSTREAM_CONNECT, "%s: %s", p->host, text);
	case CURLE_OPERATION_TIMEDOUT:
		return fail(p, ERR_UPSTREAM_TIMEOUT, "%s: %s", p->host, text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return fail(p, ERR_UPSTREAM_UNTRUSTED,
			    "%s: its certificate is not trusted: %s. Set PROXXY_CA_FILE to "
			    "the cluster's pve-root-ca.pem, or leave it empty if a public CA (ACME) has signed the "
			    "certificate; PROXMOX_HOST must be a name or address in the certificate",
			    p->host, text);
	case CURLE_SSL_CACERT_BADFILE:
		return fail(p, ERR_CONFIG, "PROXXY_CA_FILE %s: no certificate can be read from it", p->ca_file);
	case CURLE_SSL_CONNECT_ERROR:
		return fail(p, ERR_UPSTREAM_TLS, "%s: %s", p->host, text);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		if (strcasestr(text, "alert")) /* in TLS 1.3 the server's alert can arrive after our handshake */
			return fail(p, ERR_UPSTREAM_TLS, "%s: TLS failed: %s", p->host, text);
		return fail(p, ERR_UPSTREAM_BROKE, "%s: %s", p->host, text);
	case CURLE_WRITE_ERROR:
		if (call->too_long)
			return fail(p, ERR_UPSTREAM_ANSWER, "%s: its answer is longer than %d bytes", p->host,
				    PROXMOX_ANSWER_MAX);
		/* fall through */
	default:
		return fail(p, ERR_UPSTREAM_BROKE, "%s: %s", p->host, text);
	}
}

/* Writes the body of a 400, {"errors":{"vmid":"…"}}, to text as " (vmid: …)". */
static void list_bad_parameters(struct call *call, char text[ERRORS_MAX])
{
	struct json_object *answer = strict_json_parse(call->body, call->n_body), *errors;
	size_t at = 0;

	text[0] = '\0';
	if (json_object_object_get_ex(answer, "errors", &errors) && json_object_is_type(errors, json_type_object)) {
		json_object_object_foreach (errors, name, value) {
			const char *words = json_object_get_string(value); /* may end in a line feed */
			int n = snprintf(text + at, ERRORS_MAX - at, "%s%s: %.*s", at ? ", " : " (", name,
					 words ? (int)strcspn(words, "\r\n") : 0, words ? words : "");

			at += n < 0 ? 0 : (size_t)n;
			if (at + 2 > ERRORS_MAX) {
				at = ERRORS_MAX - 2;
				break;
			}
		}
		if (at > 0)
			snprintf(text + at, ERRORS_MAX - at, ")");
	}
	strict_json_wipe(answer);
}

/* Returns true if text contains one of our secrets. A server that is not Proxmox may echo them. */
static bool reveals_secret(const struct call *call, const char *text)
{
	const struct proxmox *p = call->proxmox;
	const char *secret = p->token ? strchr(p->token, '=') : NULL;
	char encoded[HEADER_MAX] = "";
	bool found = (secret && secret[1] && strstr(text, secret + 1)) || (p->password && strstr(text, p->password));

	if (p->password && uri_percent_encode(p->password, encoded, sizeof(encoded)) > 0)
		found = found || strstr(text, encoded);
	OPENSSL_cleanse(encoded, sizeof(encoded));
	for (const struct curl_slist *item = call->headers; item && !found; item = item->next)
		found = strstr(text, item->data + strcspn(item->data, " ") + 1); /* such as a login's ticket */
	return found;
}

/* Describes an HTTP error with Proxmox's own text and, for some, a hint how to fix it. Returns
 * ERR_UPSTREAM_REFUSED. */
static int describe_refusal(struct call *call, long status)
{
	const char *hint = "";
	char errors[ERRORS_MAX] = "";

	if (status == 400)
		list_bad_parameters(call, errors);
	if (reveals_secret(call, call->reason) || reveals_secret(call, errors))
		call->reason[0] = errors[0] = '\0';
	if (status == 401 && call->proxmox->token)
		hint = ". Check that the token in PROXMOX_TOKEN_FILE is correct (USER@REALM!NAME=SECRET) "
		       "and has not expired";
	else if (status == 401)
		hint = ". Check that PROXMOX_USER (USER@REALM) and the password in PROXMOX_PASSWORD_FILE are correct";
	else if (status == 403)
		hint = ". The user needs a role with VM.Console on the guest; so does the token, if its "
		       "privileges are separated";
	else if (status == 301 || status == 308)
		hint = ". This is not Proxmox's API port, which is 8006";
	/* Proxmox's own sentence may already end with a full stop. */
	if (*hint == '.' && !*errors && *call->reason && strchr(".!?", call->reason[strlen(call->reason) - 1]))
		hint++;
	return fail(call->proxmox, ERR_UPSTREAM_REFUSED, "%s: %ld%s%s%s%s", call->proxmox->host, status,
		    *call->reason ? " " : "", call->reason, errors, hint);
}

/* Returns true if Proxmox refused this parameter: its 400 names it. */
static bool refused_parameter(const struct call *call, const char *name)
{
	struct json_object *answer = NULL, *errors;
	bool named;

	if (call->proxmox->status == 400)
		answer = strict_json_parse(call->body, call->n_body);
	named = json_object_object_get_ex(answer, "errors", &errors) && json_object_is_type(errors, json_type_object) &&
		strict_json_has(errors, name);
	strict_json_wipe(answer);
	return named;
}

/* Parses the answer, {"data":{…}}. *ret_data is part of *ret_answer, which the caller frees with
 * strict_json_wipe(). */
static int parse_answer(struct call *call, struct json_object **ret_answer, struct json_object **ret_data)
{
	struct json_object *answer = strict_json_parse(call->body, call->n_body);

	if (!json_object_object_get_ex(answer, "data", ret_data) || !json_object_is_type(*ret_data, json_type_object)) {
		strict_json_wipe(answer);
		return fail(call->proxmox, ERR_UPSTREAM_ANSWER, "%s: its answer is not from Proxmox's API",
			    call->proxmox->host);
	}
	*ret_answer = answer;
	return OK;
}

static bool add_header(struct call *call, const char *name, const char *value)
{
	char line[HEADER_MAX];
	struct curl_slist *list;
	int n = snprintf(line, sizeof(line), "%s%s", name, value);

	if (n < 0 || (size_t)n >= sizeof(line))
		return false;
	list = curl_slist_append(call->headers, line);
	OPENSSL_cleanse(line, (size_t)n);
	if (list)
		call->headers = list;
	return list != NULL;
}

static void wipe_headers(struct call *call)
{
	for (struct curl_slist *item = call->headers; item; item = item->next)
		OPENSSL_cleanse(item->data, strlen(item->data));
	curl_slist_free_all(call->headers);
	call->headers = NULL;
}

/* Sets curl's options for a POST of fields, a form, to url with call's headers. */
static void set_options(CURL *curl, struct call *call, const char *url, const char *fields)
{
	const char *ca_file = call->proxmox->ca_file;

	curl_easy_setopt(curl, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* HTTP/2 has no reason phrase */
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (*ca_file) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	/* As in proxxy: every certificate in PROXXY_CA_FILE is a trust anchor, but of the system's
	 * certificates only roots are. */
	curl_easy_setopt(curl, CURLOPT_SSL_OPTIONS, *ca_file ? 0L : (long)CURLSSLOPT_NO_PARTIALCHAIN);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)PROXMOX_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "proxxy-url/" PROXXY_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, fields);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->curl_error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
}

/* POSTs fields, a form, to path of the API. Returns 0 and the body of a 200 in call, or an
 * error. */
static int post(struct call *call, const char *path, const char *fields)
{
	struct proxmox *p = call->proxmox;
	char url[PATH_MAX_LEN + CONSOLE_AUTHORITY_MAX + 64], authority[CONSOLE_AUTHORITY_MAX];
	struct console host;
	CURL *curl = curl_easy_init();
	CURLcode code;
	long status = 0;
	curl_off_t handshake = 0;

	if (!curl)
		return fail(p, ERR_SYSTEM, "libcurl cannot be initialized");
	if (payload_parse_host(p->host, &host) < 0) {
		curl_easy_cleanup(curl);
		return fail(p, ERR_CONFIG, "PROXMOX_HOST is not a name or address, with or without a port");
	}
	snprintf(url, sizeof(url), "https://%s/api2/json%s", console_authority(&host, PROXMOX_PORT, authority), path);
	set_options(curl, call, url, fields);
	call->n_body = 0;
	call->reason[0] = call->curl_error[0] = '\0';
	call->has_head = call->has_length = false;
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_APPCONNECT_TIME_T, &handshake);
	call->has_tls = handshake > 0;
	curl_easy_cleanup(curl);
	p->status = (int)status;
	/* Whether libcurl accepts a missing close_notify or an incomplete head depends on its
	 * version. We require a complete head, and a body of the length that it gives. Without a
	 * length, the JSON parser notices missing data. */
	if (call->has_head && !call->has_length && connection_ended(call, code))
		code = CURLE_OK;
	else if (code == CURLE_OK && !call->has_head)
		code = CURLE_PARTIAL_FILE;
	if (code != CURLE_OK)
		return describe_no_answer(call, code);
	return status == 200 ? OK : describe_refusal(call, status);
}

/* --- login and console -------------------------------------------------------------------- */

/* Writes the form of a login. Returns false if user or password is too long. */
static bool write_login(const struct proxmox *p, char *fields, size_t size)
{
	char user[3 * PROXMOX_USER_MAX], password[HEADER_MAX];
	int n = -1;

	if (uri_percent_encode(p->user, user, sizeof(user)) >= 0 &&
	    uri_percent_encode(p->password, password, sizeof(password)) >= 0)
		n = snprintf(fields, size, "username=%s&password=%s", user, password);
	OPENSSL_cleanse(password, sizeof(password));
	return n > 0 && (size_t)n < size;
}

/* Logs in. Copies the user's ticket, and adds it to call's headers for later calls, with the CSRF
 * token that Proxmox requires for a POST with a ticket. */
static int log_in(struct call *call, char ticket[CONSOLE_TICKET_MAX + 1])
{
	struct proxmox *p = call->proxmox;
	char fields[HEADER_MAX + 3 * PROXMOX_USER_MAX], csrf[CONSOLE_TICKET_MAX] = "";
	struct json_object *answer = NULL, *data = NULL;
	int rc;

	if (!write_login(p, fields, sizeof(fields)))
		return fail(p, ERR_CONFIG, "PROXMOX_USER or the password is too long");
	rc = post(call, "/access/ticket", fields);
	OPENSSL_cleanse(fields, sizeof(fields));
	if (rc == OK)
		rc = parse_answer(call, &answer, &data);
	if (rc < 0)
		return rc;
	if (!strict_json_copy(data, "ticket", ticket, CONSOLE_TICKET_MAX + 1) ||
	    !strict_json_copy(data, "CSRFPreventionToken", csrf, sizeof(csrf)))
		rc = fail(p, ERR_UPSTREAM_ANSWER, "%s: its answer to the login has no ticket", p->host);
	else if (strncmp(ticket, "PVE:!tfa!", strlen("PVE:!tfa!")) == 0 || strict_json_integer(data, "NeedTFA", 1) == 1)
		rc = fail(p, ERR_UPSTREAM_REFUSED,
			  "%s: %s has a second factor, which proxxy-url cannot ask for; "
			  "use an API token",
			  p->host, p->user);
	else if (!add_header(call, "Authorization: PVEAuthCookie=", ticket) ||
		 !add_header(call, "CSRFPreventionToken: ", csrf))
		rc = fail(p, ERR_SYSTEM, "out of memory");
	strict_json_wipe(answer);
	return rc;
}

/* Reads the answer of vncproxy or termproxy. Its "ticket" is what the payload calls vncticket. */
static int read_console(struct call *call, enum proxmox_kind kind, struct proxmox_console *ret)
{
	struct json_object *answer = NULL, *data = NULL;
	int rc = parse_answer(call, &answer, &data);
	int64_t number;
	bool done;

	if (rc < 0)
		return rc;
	done = strict_json_copy(data, "ticket", ret->vncticket, sizeof(ret->vncticket)) &&
	       strict_json_copy(data, "user", ret->user, sizeof(ret->user));
	number = strict_json_integer(data, "port", UINT16_MAX);
	if (number > 0)
		snprintf(ret->port, sizeof(ret->port), "%u", (unsigned)(uint16_t)number);
	else
		done = done && strict_json_copy(data, "port", ret->port, sizeof(ret->port)) &&
		       strspn(ret->port, "0123456789") == strlen(ret->port) &&
		       strtol(ret->port, NULL, 10) <= UINT16_MAX;
	/* If there is no password, the ticket is the password. RFB uses its first 8 characters. */
	if (kind == PROXMOX_VNC && !strict_json_copy(data, "password", ret->password, sizeof(ret->password)))
		snprintf(ret->password, sizeof(ret->password), "%.8s", ret->vncticket);
	strict_json_wipe(answer);
	return done ? OK :
		      fail(call->proxmox, ERR_UPSTREAM_ANSWER, "%s: its answer lacks a ticket, port or user",
			   call->proxmox->host);
}

int proxmox_open_console(struct proxmox *p, const char *node, const char *type, uint32_t vmid, enum proxmox_kind kind,
			 struct proxmox_console *ret)
{
	static struct call call;
	char path[PATH_MAX_LEN];
	const char *fields = "";
	int rc = OK;

	call = (struct call){ .proxmox = p };
	memset(ret, 0, sizeof(*ret));
	snprintf(path, sizeof(path), "/nodes/%s/%s/%u/%s", node, type, vmid,
		 kind == PROXMOX_VNC ? "vncproxy" : "termproxy");
	if (kind == PROXMOX_VNC)
		fields = strcmp(type, "qemu") == 0 ? "websocket=1&generate-password=1" : "websocket=1";

	if (!p->token)
		rc = log_in(&call, ret->ticket);
	else if ((size_t)snprintf(ret->ticket, sizeof(ret->ticket), "PVEAPIToken=%s", p->token) >= sizeof(ret->ticket))
		rc = fail(p, ERR_CONFIG, "the token is longer than %d bytes", CONSOLE_TICKET_MAX);
	else if (!add_header(&call, "Authorization: ", ret->ticket))
		rc = fail(p, ERR_SYSTEM, "out of memory");
	if (rc == OK)
		rc = post(&call, path, fields);
	/* Since 9.2 Proxmox always sends "password", and plans to remove the parameter. */
	if (rc == ERR_UPSTREAM_REFUSED && refused_parameter(&call, "generate-password"))
		rc = post(&call, path, "websocket=1");
	if (rc == OK)
		rc = read_console(&call, kind, ret);
	wipe_headers(&call);
	OPENSSL_cleanse(&call, sizeof(call));
	if (rc < 0)
		proxmox_wipe(ret);
	return rc;
}

void proxmox_wipe(struct proxmox_console *console)
{
	OPENSSL_cleanse(console, sizeof(*console));
}
