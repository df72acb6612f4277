/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects to the shared store and asks it, with the network I/O of lib/io.h and the protocol of
 * store_protocol.h.
 */
#include "session/store.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"
#include "lib/pages.h"
#include "lib/store_url.h"
#include "session/connect.h"
#include "session/dial.h"
#include "session/log.h"
#include "session/resolve.h"
#include "session/store_words.h"
#include "session/tls_verify.h"

#define CREDENTIAL "replay-store-password"

enum { READ_MAX = 4096 }; /* bytes at once */

/* Untouched pages of a static struct are never allocated. */
static struct {
	bool connected, warned;
	struct endpoint endpoint;
	int64_t deadline; /* an io_now(); 0 until the first question */
	int failed;       /* the error that every further question gets, or OK */
	char why[STORE_WHY_MAX];
	char place[STORE_PLACE_MAX];
	struct store_url url; /* secret; overwritten when the connection is made */
} store;

/* --- failures --------------------------------------------------------------------------------- */

/* Notes that the store failed, and why. Returns code. */
#define fail(code, ...) error_why(store.why, sizeof(store.why), store.failed = (code), __VA_ARGS__)

/* Notes a failure of the store itself. */
static int fail_store(const char *words)
{
	return fail(ERR_STORE, "%.120s: %s", store.place, words);
}

/* Maps a result of io_wait() or io_write_all(). */
static int fail_io(int rc)
{
	char words[TLS_VERIFY_WORDS_MAX], text[TLS_VERIFY_WORDS_MAX + 80];

	switch (rc) {
	case IO_TIMEOUT:
		return fail_store("it does not answer within 1 s");
	case IO_TERMINATED:
		return fail(END_TERMINATED, "while it asked the store");
	case IO_END:
	case IO_BROKEN:
		if (!tls_verify_explain_break(store.endpoint.tls_error, words, sizeof(words)))
			return fail_store("it closed the connection");
		snprintf(text, sizeof(text), "TLS: %s%s", words,
			 strstr(words, "certificate required") ? " (tls-auth-clients in its configuration)" : "");
		return fail_store(text);
	default:
		return fail(ERR_SYSTEM, "%.120s: %s", store.place, strerror(errno));
	}
}

/* --- connecting ------------------------------------------------------------------------------- */

/* Reads the password from the systemd credential, else from the file that the setting names. Both
 * are optional. Returns 0, or ERR_CONFIG if one of them cannot be read. */
static int read_password(const struct config *config)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char path[SETTINGS_PATH_MAX + 100], text[STORE_PASSWORD_MAX + 2];
	ssize_t n = -ENOENT;

	if (directory) {
		snprintf(path, sizeof(path), "%.4095s/" CREDENTIAL, directory);
		n = settings_read_file(path, text, sizeof(text));
	}
	if (n == -ENOENT && !*config->store_password_file)
		return OK;
	if (n == -ENOENT) {
		snprintf(path, sizeof(path), "%s", config->store_password_file);
		n = settings_read_file(path, text, sizeof(text));
	}
	if (n < 0)
		return fail(ERR_CONFIG, "no password for the store: %.150s: %s", path, strerror((int)-n));
	while (n > 0 && strchr("\r\n", text[n - 1]))
		text[--n] = '\0';
	if (n == 0 || n >= STORE_PASSWORD_MAX || strlen(text) != (size_t)n)
		fail(ERR_CONFIG, "no password for the store: %.150s is empty, too long or has a NUL byte", path);
	else
		memcpy(store.url.password, text, (size_t)n + 1);
	OPENSSL_cleanse(text, sizeof(text));
	return store.failed;
}

/* Tries the addresses until one accepts the connection. Each gets an equal share of the time. */
static int connect_any(const struct addrinfo *addresses)
{
	int left = 0, error = 0, fd;

	for (const struct addrinfo *a = addresses; a && left < DIAL_ADDRESSES_MAX; a = a->ai_next)
		left++;
	for (const struct addrinfo *a = addresses; a && left > 0; a = a->ai_next) {
		const int64_t now = io_now();
		const int rc = connect_address(a, NULL, now + (store.deadline - now) / left--, &fd, &error);

		if (rc < 0)
			return fail_io(rc);
		if (error == 0) {
			store.endpoint = io_endpoint(fd, NULL);
			store.connected = true;
			return OK;
		}
	}
	return error == ETIMEDOUT ? fail_io(IO_TIMEOUT) : fail_store(strerror(error));
}

static int connect_unix(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct addrinfo a = { .ai_family = AF_UNIX,
				    .ai_socktype = SOCK_STREAM,
				    .ai_addr = (struct sockaddr *)&address,
				    .ai_addrlen = sizeof(address) };

	memcpy(address.sun_path, store.url.path, sizeof(address.sun_path));
	return connect_any(&a);
}

/* The store's host, as resolve() and tls_verify_set_host() take it. */
static const struct console *host(void)
{
	static struct console host PAGED;

	memcpy(host.host, store.url.host, strlen(store.url.host) + 1);
	host.host_is_address = store.url.host_is_address;
	return &host;
}

static int connect_tcp(void)
{
	struct addrinfo *addresses = NULL;
	const char *why = "";
	int rc = resolve(host(), store.url.port, NULL, store.deadline, &addresses, &why);

	if (rc == ERR_UPSTREAM_RESOLVE)
		return fail_store(why);
	if (rc == IO_TIMEOUT)
		return fail_store("its name is not resolved within 1 s");
	rc = rc < 0 ? fail_io(rc) : connect_any(addresses);
	if (addresses)
		freeaddrinfo(addresses);
	return rc;
}

/* Does the handshake on the connection, which owns tls from here on. */
static int shake_hands(const struct tls_verify *verify, SSL *tls)
{
	char words[TLS_VERIFY_WORDS_MAX], text[TLS_VERIFY_WORDS_MAX + 8];
	const char *hint;

	SSL_set_connect_state(tls);
	for (;;) {
		ssize_t n = io_handshake(&store.endpoint);
		int rc;

		if (n > 0)
			return OK;
		if (n != IO_AGAIN) {
			tls_verify_explain_handshake(verify, tls, words, sizeof(words), &hint);
			snprintf(text, sizeof(text), "TLS: %s", words);
			return fail_store(text);
		}
		rc = io_wait(&store.endpoint, POLLIN, NULL, store.deadline);
		if (rc == IO_TIMEOUT)
			return fail_store("it does not answer TLS within 1 s");
		if (rc < 0)
			return fail_io(rc);
	}
}

/* Begins TLS. The CAs are those of ca= in the URL, else the system's: PROXXY_CA_FILE is for
 * Proxmox, and has no say here, nor has PROXXY_TLS_VERIFY. */
static int start_tls(void)
{
	static struct config settings PAGED;
	static const struct access nothing;
	const struct tls_verify verify = { &settings, &nothing };
	char why[STORE_WHY_MAX];
	SSL_CTX *context = NULL;
	SSL *tls = NULL;
	int rc;

	settings.tls_verify = true;
	memcpy(settings.ca_file, store.url.ca_file, sizeof(store.url.ca_file));
	rc = tls_verify_context(&verify, &context, why, sizeof(why));
	if (rc == ERR_CONFIG)
		rc = fail(rc, "PROXXY_REPLAY_STORE: ca=%.150s: no certificate can be read from it", store.url.ca_file);
	else if (rc < 0)
		rc = fail(rc, "%s", why);
	if (rc == OK)
		tls = SSL_new(context);
	if (rc == OK && (!tls || !tls_verify_set_host(tls, host()) || io_begin_tls(&store.endpoint, tls) < 0)) {
		SSL_free(tls);
		rc = fail(ERR_SYSTEM, "OpenSSL cannot begin TLS with the store");
	}
	if (rc == OK)
		rc = shake_hands(&verify, tls);
	SSL_CTX_free(context);
	return rc;
}

/* --- questions -------------------------------------------------------------------------------- */

/* Reads an answer before the deadline. Returns 0 or an error. */
static int read_answer(struct store_answer *ret)
{
	char bytes[READ_MAX];

	for (;;) {
		int rc = store_protocol_next(ret);
		ssize_t n;

		if (rc < 0)
			return fail_store("it does not speak the protocol of Redis");
		if (rc > 0)
			return OK;
		n = io_now() < store.deadline ? io_read(&store.endpoint, bytes, sizeof(bytes)) : IO_TIMEOUT;
		if (n > 0)
			rc = store_protocol_feed(bytes, (size_t)n);
		if (rc < 0)
			return fail_store("its answer is too long");
		if (n == IO_AGAIN)
			n = io_wait(&store.endpoint, POLLIN, NULL, store.deadline);
		else if (n <= 0)
			return fail_io((int)n);
		if (n < 0)
			return fail_io((int)n);
	}
}

/* Sends a command on the connection and reads its answer. Returns 0 or an error. */
static int exchange(store_command command, struct store_answer *ret)
{
	char *encoded = NULL, words[STORE_WHY_MAX / 2];
	const int size = store_protocol_encode(command, &encoded);
	int rc;

	if (size < 0)
		return fail(ERR_SYSTEM, "out of memory");
	rc = io_write_all(&store.endpoint, encoded, (size_t)size, store.deadline);
	store_protocol_free(encoded, size);
	/* A store that closed the connection may have sent the reason before. */
	if (rc < 0 && rc != IO_BROKEN)
		return fail_io(rc);
	rc = read_answer(ret);
	if (rc == OK && ret->kind == STORE_ERROR) {
		store_words(ret->text, command[0], words, sizeof(words));
		rc = fail_store(words);
	}
	return rc;
}

/* Logs in and chooses the database, as the URL says. */
static int log_in(void)
{
	const bool has_user = *store.url.user;
	char database[8];
	store_command auth = { "AUTH", has_user ? store.url.user : store.url.password,
			       has_user ? store.url.password : NULL };
	store_command choose = { "SELECT", database };
	struct store_answer answer = { 0 };
	int rc = OK;

	if (has_user && !*store.url.password)
		return fail(ERR_CONFIG, "PROXXY_REPLAY_STORE has a user, but there is no password");
	if (*store.url.password)
		rc = exchange(auth, &answer);
	snprintf(database, sizeof(database), "%u", store.url.database);
	if (rc == OK && store.url.database > 0)
		rc = exchange(choose, &answer);
	return rc;
}

/* Connects and logs in. Returns 0 or an error. */
static int begin(const struct config *config)
{
	char why[STORE_WHY_MAX];
	int rc;

	store.deadline = io_now() + STORE_TIMEOUT_MS;
	if (!store_url_parse(config->replay_store, &store.url))
		return fail(ERR_CONFIG, "PROXXY_REPLAY_STORE is not a valid URL"); /* config.c has checked it */
	store_url_place(&store.url, store.place);
	rc = store_protocol_open(why, sizeof(why));
	if (rc < 0)
		return fail(rc, "%s", why);
	rc = read_password(config);
	if (rc == OK)
		rc = *store.url.path ? connect_unix() : connect_tcp();
	if (rc == OK && store.url.tls)
		rc = start_tls();
	return rc == OK ? log_in() : rc;
}

int store_ask(const struct config *config, store_command command, struct store_answer *ret, char *why, size_t size)
{
	int rc = store.failed;

	if (rc == OK && store.deadline == 0) {
		rc = begin(config);
		OPENSSL_cleanse(&store.url, sizeof(store.url));
	}
	if (rc == OK)
		rc = exchange(command, ret);
	if (rc < 0) {
		store_close();
		error_why(why, size, rc, "%s", store.why);
	}
	return rc;
}

int store_judge(const struct config *config, int rc, char *why)
{
	char message[STORE_WHY_MAX + 120];

	if (rc != ERR_STORE || !config->store_failure_is_local)
		return rc;
	snprintf(message, sizeof(message), "PROXXY_STORE_FAILURE is local, and the store fails: %s", why);
	if (!store.warned)
		log_warning(message);
	store.warned = true;
	*why = '\0'; /* it names the store, and would become a part of another reason */
	return OK;
}

int store_check(const struct config *config, char *why, size_t size)
{
	struct store_answer answer;
	int rc = store_ask(config, (store_command){ "PING" }, &answer, why, size);

	if (rc == OK)
		rc = store_ask(config, (store_command){ "SET", "proxxy:jti:check", "1", "EX", "1" }, &answer, why,
			       size);
	store_close();
	return rc;
}

/* --- without waiting -------------------------------------------------------------------------- */

int store_post(store_command command, char *why, size_t size)
{
	char *encoded = NULL;
	const int length = store.connected ? store_protocol_encode(command, &encoded) : ERR_SYSTEM;
	ssize_t n;

	if (length < 0)
		return error_why(why, size, ERR_STORE, "%s", "out of memory");
	n = io_write(&store.endpoint, encoded, (size_t)length);
	store_protocol_free(encoded, length);
	if (n == IO_AGAIN)
		return IO_AGAIN;
	if (n == length)
		return OK;
	fail_io(IO_BROKEN); /* also if only a part fits: the rest of it could not be sent */
	return error_why(why, size, ERR_STORE, "%s", store.why);
}

int store_collect(char *why, size_t size)
{
	struct store_answer answer;
	char bytes[READ_MAX], words[STORE_WHY_MAX / 2];
	int n = 0, rc = OK;
	ssize_t got;

	got = io_read(&store.endpoint, bytes, sizeof(bytes));
	if (got > 0)
		rc = store_protocol_feed(bytes, (size_t)got);
	else if (got != IO_AGAIN)
		rc = fail_io((int)got);
	while (rc == OK && (rc = store_protocol_next(&answer)) == 1) {
		rc = OK;
		n++;
		if (answer.kind == STORE_ERROR) {
			store_words(answer.text, "EVAL", words, sizeof(words));
			rc = fail_store(words);
		}
	}
	if (rc == OK)
		return n;
	return error_why(why, size, ERR_STORE, "%s",
			 store.failed ? store.why : "it does not speak the protocol of Redis");
}

void store_close(void)
{
	if (!store.connected)
		return;
	store.connected = false;
	store_protocol_close();
	SSL_free(store.endpoint.tls);
	close(store.endpoint.fd);
}
