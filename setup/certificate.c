/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetches the certificate that a host shows, and verifies it with given CAs.
 */
#include "setup/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"

/* --- connection --------------------------------------------------------------------------- */

/* Waits until fd is ready for events. Returns false at the deadline, an io_now(). */
static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };

	return io_poll_until(&p, 1, deadline) > 0;
}

/* Connects to one address. Returns a non-blocking socket, or -errno. */
static int connect_address(const struct addrinfo *a, int64_t deadline)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	int error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
		error = errno;
	else if (!wait_for(fd, POLLOUT, deadline))
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error == 0)
		return fd;
	close(fd);
	return -error;
}

/* Connects to host, at any of its addresses. Returns a socket or an error. */
static int connect_host(const struct console *host, int64_t deadline, char *why, size_t size)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char port[6];
	int fd = -ENOENT, code;

	snprintf(port, sizeof(port), "%u", host->host_port ? host->host_port : (unsigned)PROXMOX_PORT);
	code = getaddrinfo(host->host, port, &hints, &list);
	if (code != 0)
		return error_why(why, size, ERR_UPSTREAM_RESOLVE, "%s: %s", host->host, gai_strerror(code));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		/* Each address gets its share of the time that is left. */
		int64_t left = deadline - io_now(), shares = 0;

		for (const struct addrinfo *b = a; b; b = b->ai_next)
			shares++;
		fd = connect_address(a, io_now() + (left > 0 ? left / shares : 0));
	}
	freeaddrinfo(list);
	if (fd < 0)
		return error_why(
			why, size, fd == -ETIMEDOUT ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM_CONNECT,
			"%s port %s: %s. Check the address, and that a firewall lets this machine connect to it",
			host->host, port, strerror(-fd));
	return fd;
}

/* Describes a failed handshake. Returns its code. */
static int describe_handshake(const char *host, bool timed_out, char *why, size_t size)
{
	const unsigned long error = ERR_peek_last_error();

	if (timed_out)
		return error_why(why, size, ERR_UPSTREAM_TIMEOUT, "%s: no answer in TLS", host);
	if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
		return error_why(why, size, ERR_UPSTREAM_TLS,
				 "%s: this port does not speak TLS. Proxmox's API is on port %d", host, PROXMOX_PORT);
	if (error == 0 || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return error_why(why, size, ERR_UPSTREAM_TLS,
				 "%s: it closed the connection before TLS began. Check that ALLOW_FROM and DENY_FROM "
				 "in its /etc/default/pveproxy allow this machine",
				 host);
	return error_why(why, size, ERR_UPSTREAM_TLS, "%s: TLS failed: %s", host, ERR_reason_error_string(error));
}

/* Completes the handshake on fd. */
static int shake_hands(SSL *tls, int fd, const char *host, int64_t deadline, char *why, size_t size)
{
	for (;;) {
		int rc, wanted;

		ERR_clear_error();
		rc = SSL_connect(tls);
		if (rc == 1)
			return OK;
		wanted = SSL_get_error(tls, rc);
		if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE)
			return describe_handshake(host, false, why, size);
		if (!wait_for(fd, wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline))
			return describe_handshake(host, true, why, size);
	}
}

/* Copies the peer's certificates out of the connection. */
static int take_certificate(SSL *tls, struct certificate *ret, char *why, size_t size)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls);
	unsigned int len = 0;
	BIO *text;
	int n;

	*ret = (struct certificate){ .leaf = SSL_get1_peer_certificate(tls) };
	if (!ret->leaf || X509_digest(ret->leaf, EVP_sha256(), ret->fingerprint, &len) != 1)
		return error_why(why, size, ERR_UPSTREAM_TLS, "it has shown no certificate");
	if (chain)
		ret->chain = X509_chain_up_ref(chain);
	text = BIO_new(BIO_s_mem());
	if (!text)
		return error_why(why, size, ERR_SYSTEM, "out of memory");
	X509_NAME_print_ex(text, X509_get_subject_name(ret->leaf), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
	n = BIO_read(text, ret->subject, sizeof(ret->subject) - 1);
	ret->subject[n > 0 ? n : 0] = '\0';
	BIO_free(text);
	return OK;
}

int certificate_fetch(const struct console *host, int timeout, struct certificate *ret, char *why, size_t size)
{
	const int64_t deadline = io_now() + timeout;
	SSL_CTX *context = NULL;
	SSL *tls = NULL;
	int rc, fd = connect_host(host, deadline, why, size);

	*ret = (struct certificate){ 0 };
	if (fd < 0)
		return fd;
	rc = error_why(why, size, ERR_SYSTEM, "OpenSSL cannot make a connection");
	context = SSL_CTX_new(TLS_client_method());
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		goto end;
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* the caller decides, and sends nothing here */
	tls = SSL_new(context);
	if (!tls || SSL_set_fd(tls, fd) != 1)
		goto end;
	if (!host->host_is_address)
		SSL_set_tlsext_host_name(tls, host->host);
	rc = shake_hands(tls, fd, host->host, deadline, why, size);
	if (rc == OK)
		rc = take_certificate(tls, ret, why, size);
	if (rc < 0)
		certificate_free(ret);
	else
		SSL_shutdown(tls);
end:
	SSL_free(tls);
	SSL_CTX_free(context);
	close(fd);
	return rc;
}

/* --- verification ------------------------------------------------------------------------- */

const char *certificate_fingerprint_text(const uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN],
					 char text[CERTIFICATE_FINGERPRINT_MAX])
{
	for (size_t i = 0; i < CRYPTO_FINGERPRINT_LEN; i++)
		snprintf(text + 3 * i, 4, i + 1 < CRYPTO_FINGERPRINT_LEN ? "%02X:" : "%02X", fingerprint[i]);
	return text;
}

/* Returns a store with the certificates in pem, or NULL. */
static X509_STORE *store_of(const char *pem)
{
	X509_STORE *store = X509_STORE_new();
	BIO *in = BIO_new_mem_buf(pem, -1);
	X509 *ca = NULL;
	size_t n = 0;

	while (store && in && (ca = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, ca) == 1;
		X509_free(ca);
	}
	ERR_clear_error(); /* of the end of the text */
	BIO_free(in);
	if (n == 0) {
		X509_STORE_free(store);
		store = NULL;
	}
	return store;
}

/* Verifies c with the store, which may be NULL. host is NULL for any name. */
static bool verify(const struct certificate *c, X509_STORE *store, const struct console *host)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	bool good = store && context && X509_STORE_CTX_init(context, store, c->leaf, c->chain) == 1;

	if (good) {
		X509_STORE_CTX_set_default(context, "ssl_server"); /* the purpose */
		param = X509_STORE_CTX_get0_param(context);
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
							       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
		if (host)
			good = (host->host_is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, host->host) :
							X509_VERIFY_PARAM_set1_host(param, host->host, 0)) == 1;
		good = good && X509_verify_cert(context) == 1;
	}
	X509_STORE_CTX_free(context);
	ERR_clear_error();
	return good;
}

bool certificate_verified_by(const struct certificate *c, const char *pem, const struct console *host)
{
	X509_STORE *store = store_of(pem);
	const bool good = verify(c, store, host);

	X509_STORE_free(store);
	return good;
}

bool certificate_signed_by(const struct certificate *c, const char *pem)
{
	return certificate_verified_by(c, pem, NULL);
}

bool certificate_verified_by_system(const struct certificate *c, const struct console *host)
{
	X509_STORE *store = X509_STORE_new();
	/* The hashed directory, as in a session. */
	const bool good = store && X509_STORE_load_path(store, X509_get_default_cert_dir()) == 1 &&
			  verify(c, store, host);

	X509_STORE_free(store);
	return good;
}

bool certificate_expired(const struct certificate *c)
{
	return X509_cmp_current_time(X509_get0_notAfter(c->leaf)) < 0;
}

void certificate_free(struct certificate *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	*c = (struct certificate){ 0 };
}
