/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls Proxmox's API through libcurl, and turns each failure into a sentence with a hint.
 */
#include "lib/curl_api.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "lib/uri.h"

enum {
	HEADER_MAX = CONSOLE_TICKET_MAX + 64, /* bytes of a header line, with its NUL */
	REASON_MAX = 256,                     /* bytes of a reason phrase, with its NUL */
	ERRORS_MAX = 160,                     /* bytes of a 400's list of bad parameters, with its NUL */
	URL_MAX = 1024,                       /* bytes of a URL, with its NUL */
};

/* Between calls: the connection and the headers. During a call: its answer. */
struct api_state {
	CURL *curl;
	struct curl_slist *headers;
	char curl_error[CURL_ERROR_SIZE];
	char reason[REASON_MAX];
	bool too_long;          /* the body is longer than body_size */
	bool has_tls;           /* the handshake is complete */
	bool has_head;          /* the answer's head is complete */
	bool has_length;        /* the head gives the body's length; otherwise the connection's end ends it */
	bool other_certificate; /* its fingerprint is not that of struct api */
};

/* Sets api->why. Returns code. */
#define fail(api, code, ...) error_why((api)->why, sizeof((api)->why), code, __VA_ARGS__)

/* --- the answer --------------------------------------------------------------------------- */

/* CURLOPT_WRITEFUNCTION: stores a part of the body. */
static size_t take_body(char *data, size_t one, size_t n, void *arg)
{
	struct api *api = arg;

	(void)one;
	if (n >= api->body_size - api->n_body) {
		api->state->too_long = true;
		return 0;
	}
	memcpy(api->body + api->n_body, data, n);
	api->n_body += n;
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
	struct api_state *s = arg;
	const char *space;
	size_t len = 0;

	(void)one;
	s->has_head = n > 0 && (*line == '\r' || *line == '\n');
	s->has_length |= begins(line, n, "Content-Length:") || begins(line, n, "Transfer-Encoding:");
	if (!begins(line, n, "HTTP/"))
		return n;
	s->has_length = false;
	space = memchr(line, ' ', n);
	if (space && (size_t)(line + n - space) > 5)
		for (const char *at = space + 5;
		     at < line + n && *at != '\r' && *at != '\n' && len < sizeof(s->reason) - 1; at++)
			s->reason[len++] = *at >= 0x20 && *at < 0x7F ? *at : '?';
	s->reason[len] = '\0';
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
static bool connection_ended(const struct api_state *s, CURLcode code)
{
	return code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE ||
	       (code == CURLE_RECV_ERROR && was_closed(s->curl_error));
}

/* Describes a call without a complete answer, from libcurl's code and error text. Returns our
 * code. */
static int describe_no_answer(struct api *api, CURLcode code)
{
	const struct api_state *s = api->state;
	const char *text = *s->curl_error ? s->curl_error : curl_easy_strerror(code);

	if (s->other_certificate)
		return fail(api, ERR_UPSTREAM_UNTRUSTED, "%s: it now shows another certificate", api->host);
	/* The code depends on libcurl's version. */
	if (!s->has_tls && was_closed(text) &&
	    (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR))
		return fail(api, ERR_UPSTREAM_TLS,
			    "%s: %s. It closed the connection before TLS began: check that "
			    "ALLOW_FROM and DENY_FROM in its /etc/default/pveproxy allow this machine",
			    api->host, text);
	if (connection_ended(s, code))
		return fail(api, ERR_UPSTREAM_BROKE, "%s: %s", api->host,
			    api->status ? "its answer is incomplete" : "Empty reply from server");
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return fail(api, ERR_UPSTREAM_RESOLVE, "%s: %s", api->host, text);
	case CURLE_COULDNT_CONNECT:
		return fail(api, ERR_UPSTREAM_CONNECT, "%s: %s", api->host, text);
	case CURLE_OPERATION_TIMEDOUT:
		return fail(api, ERR_UPSTREAM_TIMEOUT, "%s: %s", api->host, text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return fail(api, ERR_UPSTREAM_UNTRUSTED, "%s: its certificate is not trusted: %s%s%s", api->host, text,
			    *api->untrusted ? ". " : "", api->untrusted);
	case CURLE_SSL_CACERT_BADFILE:
		return fail(api, ERR_CONFIG, "PROXXY_CA_FILE %s: no certificate can be read from it", api->ca_file);
	case CURLE_SSL_CONNECT_ERROR:
		return fail(api, ERR_UPSTREAM_TLS, "%s: %s", api->host, text);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		if (strcasestr(text, "alert")) /* in TLS 1.3 the server's alert can arrive after our handshake */
			return fail(api, ERR_UPSTREAM_TLS, "%s: TLS failed: %s", api->host, text);
		return fail(api, ERR_UPSTREAM_BROKE, "%s: %s", api->host, text);
	case CURLE_WRITE_ERROR:
		if (s->too_long)
			return fail(api, ERR_UPSTREAM_ANSWER, "%s: its answer is longer than %zu bytes", api->host,
				    api->body_size);
		/* fall through */
	default:
		return fail(api, ERR_UPSTREAM_BROKE, "%s: %s", api->host, text);
	}
}

/* Writes the body of a 400, {"errors":{"vmid":"…"}}, to text as " (vmid: …)". */
static void list_bad_parameters(const struct api *api, char text[ERRORS_MAX])
{
	struct json_object *answer = strict_json_parse(api->body, api->n_body), *errors;
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
static bool reveals_secret(const struct api *api, const char *text)
{
	char encoded[HEADER_MAX];
	bool found = false;

	for (size_t i = 0; i < API_SECRETS_MAX && !found; i++) {
		const char *secret = api->secrets[i];

		encoded[0] = '\0';
		if (!secret || !*secret)
			continue;
		found = strstr(text, secret) ||
			(uri_percent_encode(secret, encoded, sizeof(encoded)) > 0 && strstr(text, encoded));
	}
	OPENSSL_cleanse(encoded, sizeof(encoded));
	for (const struct curl_slist *item = api->state->headers; item && !found; item = item->next)
		found = strstr(text, item->data + strcspn(item->data, " ") + 1); /* such as a login's ticket */
	return found;
}

/* Describes an HTTP error with Proxmox's own text and the program's hint. Returns
 * ERR_UPSTREAM_REFUSED. */
static int describe_refusal(struct api *api)
{
	char *reason = api->state->reason;
	const char *hint = api->hint(api->status);
	char errors[ERRORS_MAX] = "";

	if (api->status == 400)
		list_bad_parameters(api, errors);
	if (reveals_secret(api, reason) || reveals_secret(api, errors))
		reason[0] = errors[0] = '\0';
	/* Proxmox's own sentence may already end with a full stop. */
	if (*hint == '.' && !*errors && *reason && strchr(".!?", reason[strlen(reason) - 1]))
		hint++;
	return fail(api, ERR_UPSTREAM_REFUSED, "%s: %d%s%s%s%s", api->host, api->status, *reason ? " " : "", reason,
		    errors, hint);
}

bool api_refused_parameter(const struct api *api, const char *name)
{
	struct json_object *answer = NULL, *errors;
	bool named;

	if (api->status == 400)
		answer = strict_json_parse(api->body, api->n_body);
	named = json_object_object_get_ex(answer, "errors", &errors) && json_object_is_type(errors, json_type_object) &&
		strict_json_has(errors, name);
	strict_json_wipe(answer);
	return named;
}

int api_data(struct api *api, struct json_object **ret_answer, struct json_object **ret_data)
{
	struct json_object *answer = strict_json_parse_up_to(api->body_size, api->body, api->n_body);

	if (!json_object_object_get_ex(answer, "data", ret_data)) {
		strict_json_wipe(answer);
		return fail(api, ERR_UPSTREAM_ANSWER, "%s: its answer is not from Proxmox's API", api->host);
	}
	*ret_answer = answer;
	return OK;
}

/* --- the request -------------------------------------------------------------------------- */

/* Returns true if api has its state and libcurl its handle. */
static bool begin(struct api *api)
{
	if (!api->state)
		api->state = calloc(1, sizeof(*api->state));
	if (api->state && !api->state->curl)
		api->state->curl = curl_easy_init();
	return api->state && api->state->curl;
}

bool api_add_header(struct api *api, const char *name, const char *value)
{
	char line[HEADER_MAX];
	struct curl_slist *list;
	int n = snprintf(line, sizeof(line), "%s%s", name, value);

	if (n < 0 || (size_t)n >= sizeof(line) || !begin(api))
		return false;
	list = curl_slist_append(api->state->headers, line);
	OPENSSL_cleanse(line, (size_t)n);
	if (list)
		api->state->headers = list;
	return list != NULL;
}

/* OpenSSL calls it in place of its own verification: accepts one certificate, by its SHA-256. */
static int accept_fingerprint(X509_STORE_CTX *context, void *arg)
{
	struct api *api = arg;
	const X509 *certificate = X509_STORE_CTX_get0_cert(context);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	const bool same = certificate && X509_digest(certificate, EVP_sha256(), digest, &len) == 1 &&
			  len == CRYPTO_FINGERPRINT_LEN && memcmp(digest, api->fingerprint, len) == 0;

	api->state->other_certificate = !same;
	X509_STORE_CTX_set_error(context, same ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
	return same;
}

/* CURLOPT_SSL_CTX_FUNCTION. */
static CURLcode use_fingerprint(CURL *curl, void *context, void *arg)
{
	(void)curl;
	SSL_CTX_set_cert_verify_callback(context, accept_fingerprint, arg);
	return CURLE_OK;
}

/* Sets which certificate is accepted. Returns false if this libcurl cannot do it. */
static bool set_trust(CURL *curl, struct api *api)
{
	if (api->fingerprint) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L); /* the fingerprint says more than a name */
		curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);       /* the system may have no CAs */
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* a session of proxxy uses no HTTP proxy either */
		return curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, use_fingerprint) == CURLE_OK &&
		       curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, api) == CURLE_OK;
	}
	if (*api->ca_file) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, api->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	/* As in proxxy: every certificate in PROXXY_CA_FILE is a trust anchor, but of the system's
	 * certificates only roots are. */
	curl_easy_setopt(curl, CURLOPT_SSL_OPTIONS, *api->ca_file ? 0L : (long)CURLSSLOPT_NO_PARTIALCHAIN);
	return true;
}

/* Sets curl's options for a request with api's headers. Returns as set_trust(). */
static bool set_options(struct api *api, enum api_method method, const char *url, const char *fields)
{
	CURL *curl = api->state->curl;
	char agent[64];

	snprintf(agent, sizeof(agent), "%s/%s", api->program, PROXXY_VERSION);
	curl_easy_reset(curl); /* keeps the connection */
	curl_easy_setopt(curl, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* HTTP/2 has no reason phrase */
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)API_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, agent);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, api->state->headers);
	if (method == API_POST || method == API_PUT)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, fields);
	if (method == API_PUT || method == API_DELETE)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method == API_PUT ? "PUT" : "DELETE");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, api->state->curl_error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, api);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, api->state);
	return set_trust(curl, api);
}

/* Writes the URL of a request. Returns false if it is too long. */
static bool write_url(const struct console *host, enum api_method method, const char *path, const char *fields,
		      char url[URL_MAX])
{
	const char *query = method == API_GET || method == API_DELETE ? fields : "";
	char authority[CONSOLE_AUTHORITY_MAX];
	const int n = snprintf(url, URL_MAX, "https://%s/api2/json%s%s%s",
			       console_authority(host, PROXMOX_PORT, authority), path, *query ? "?" : "", query);

	return n > 0 && n < URL_MAX;
}

/* Sends the request and receives the answer. Returns libcurl's code. */
static CURLcode perform(struct api *api)
{
	struct api_state *s = api->state;
	CURLcode code = curl_easy_perform(s->curl);
	long status = 0, connects = 0;
	curl_off_t handshake = 0;

	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(s->curl, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(s->curl, CURLINFO_APPCONNECT_TIME_T, &handshake);
	s->has_tls = handshake > 0 || (connects == 0 && status > 0);
	api->status = (int)status;
	api->body[api->n_body] = '\0';
	/* Whether libcurl accepts a missing close_notify or an incomplete head depends on its
	 * version. We require a complete head, and a body of the length that it gives. Without a
	 * length, the JSON parser notices missing data. */
	if (s->has_head && !s->has_length && connection_ended(s, code))
		return CURLE_OK;
	return code == CURLE_OK && !s->has_head ? CURLE_PARTIAL_FILE : code;
}

int api_call(struct api *api, enum api_method method, const char *path, const char *fields)
{
	char url[URL_MAX];
	struct console host;
	CURLcode code;

	OPENSSL_cleanse(api->body, api->n_body);
	api->n_body = 0;
	api->status = 0;
	if (!begin(api))
		return fail(api, ERR_SYSTEM, "libcurl cannot be initialized");
	if (payload_parse_host(api->host, &host) < 0)
		return fail(api, ERR_CONFIG, "%s is not a name or address, with or without a port", api->host);
	if (!write_url(&host, method, path, fields, url))
		return fail(api, ERR_CONFIG, "the request is too long");
	if (!set_options(api, method, url, fields))
		return fail(api, ERR_SYSTEM, "this libcurl does not use OpenSSL");
	api->state->reason[0] = api->state->curl_error[0] = '\0';
	api->state->has_head = api->state->has_length = api->state->too_long = api->state->other_certificate = false;
	code = perform(api);
	if (code != CURLE_OK)
		return describe_no_answer(api, code);
	return api->status == 200 ? OK : describe_refusal(api);
}

void api_end(struct api *api)
{
	if (api->state) {
		if (api->state->curl)
			curl_easy_cleanup(api->state->curl);
		for (struct curl_slist *item = api->state->headers; item; item = item->next)
			OPENSSL_cleanse(item->data, strlen(item->data));
		curl_slist_free_all(api->state->headers);
		OPENSSL_cleanse(api->state, sizeof(*api->state));
		free(api->state);
		api->state = NULL;
	}
	OPENSSL_cleanse(api->body, api->n_body);
	api->n_body = 0;
}
