/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the TLS context of a session, verifies Proxmox's certificate during the handshake, and
 * explains why TLS failed. upstream.c calls it.
 */
#include "session/tls_verify.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "lib/error.h"

/* Where the certificates or fingerprints come from that count. */
enum source { FROM_PAYLOAD, FROM_CLUSTER, FROM_SETTINGS };

static enum source source_of(const struct tls_verify *v)
{
	const struct access *a = v->access;

	/* access.c refuses such a payload without a ticket. This check is here too, because the
	 * cluster file's token must never go to a machine that only the payload trusts. */
	if (!a->own_token && (a->claims.has_fingerprint || a->claims.ca))
		return FROM_PAYLOAD;
	if (*a->cluster.name && (*a->cluster.ca_file || a->cluster.n_fingerprints > 0))
		return FROM_CLUSTER;
	return FROM_SETTINGS;
}

/* Returns the accepted fingerprints, *ret_n of them. */
static const uint8_t (*fingerprints(const struct tls_verify *v, size_t *ret_n))[CRYPTO_FINGERPRINT_LEN]
{
	const struct access *a = v->access;

	switch (source_of(v)) {
	case FROM_PAYLOAD:
		*ret_n = a->claims.has_fingerprint;
		return &a->claims.fingerprint;
	case FROM_CLUSTER:
		*ret_n = a->cluster.n_fingerprints;
		return a->cluster.fingerprints;
	default:
		*ret_n = v->config->n_fingerprints;
		return v->config->fingerprints;
	}
}

/* True if only fingerprints count, and no CA. */
static bool is_pinned(const struct tls_verify *v)
{
	const enum source source = source_of(v);

	return (source == FROM_PAYLOAD && v->access->claims.has_fingerprint) ||
	       (source == FROM_CLUSTER && !*v->access->cluster.ca_file);
}

/* OpenSSL calls this during the handshake, before any HTTP is sent. Returns 1 if the certificate
 * has an accepted fingerprint, or else if its chain and name are valid, unless only fingerprints
 * count. */
static int verify(X509_STORE_CTX *store, void *arg)
{
	const struct tls_verify *v = arg;
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n;
	const uint8_t(*accepted)[CRYPTO_FINGERPRINT_LEN] = fingerprints(v, &n);
	unsigned len = 0;

	if (leaf && n > 0 && X509_digest(leaf, EVP_sha256(), digest, &len) == 1 && len == CRYPTO_FINGERPRINT_LEN)
		for (size_t i = 0; i < n; i++)
			if (CRYPTO_memcmp(digest, accepted[i], len) == 0)
				return 1;
	if (is_pinned(v)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	return X509_verify_cert(store);
}

/* Adds the certificates of the payload's PEM text to the store, which is empty. Returns false if
 * there are none. */
static bool load_pem(SSL_CTX *tls, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_STORE *store = SSL_CTX_get_cert_store(tls);
	X509 *cert;
	int n = 0;

	while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, cert);
		X509_free(cert);
	}
	ERR_clear_error(); /* reading the last certificate left the error "no start line" */
	BIO_free(bio);
	return n > 0;
}

bool tls_verify_needs_files(const struct tls_verify *v)
{
	return v->config->tls_verify && source_of(v) == FROM_SETTINGS && !*v->config->ca_file;
}

/* Makes each certificate that the setting or the payload names a trust anchor, even if it is an
 * intermediate CA's or the server's own. Otherwise the root would have to be named, which may also
 * sign for others. Name, dates, purpose and a CA's right to sign are still checked; only the
 * signature on the named certificate is not. */
static bool accept_partial_chain(SSL_CTX *tls)
{
	return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls), X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

/* Loads a file of CAs into tls. Returns false if it has no certificate. */
static bool load_file(SSL_CTX *tls, const char *ca_file)
{
	return SSL_CTX_load_verify_file(tls, ca_file) == 1 && accept_partial_chain(tls);
}

/* Loads the CAs that count into tls. Returns 0, or ERR_PAYLOAD_INVALID or ERR_CONFIG with words in
 * why[0..size). */
static int load_cas(const struct tls_verify *v, SSL_CTX *tls, char *why, size_t size)
{
	const char *const ca_file = v->config->ca_file, *const pem = v->access->claims.ca;
	const struct cluster *cluster = &v->access->cluster;

	ERR_clear_error();
	if (is_pinned(v))
		return OK;
	switch (source_of(v)) {
	case FROM_PAYLOAD:
		if (load_pem(tls, pem) && accept_partial_chain(tls))
			return OK;
		snprintf(why, size, "ca holds no certificate that can be read");
		return ERR_PAYLOAD_INVALID;
	case FROM_CLUSTER:
		if (load_file(tls, cluster->ca_file))
			return OK;
		snprintf(why, size, "cluster file %s: CA_FILE %.180s: no certificate can be read from it",
			 cluster->name, cluster->ca_file);
		return ERR_CONFIG;
	default:
		break;
	}
	if (*ca_file) {
		if (load_file(tls, ca_file))
			return OK;
		snprintf(why, size, "PROXXY_CA_FILE %.180s: no certificate can be read from it", ca_file);
		return ERR_CONFIG;
	}
	/* The hashed directory: OpenSSL opens one file of it when it needs one. It would parse the
	 * whole bundle beside it for each session. */
	if (SSL_CTX_load_verify_dir(tls, X509_get_default_cert_dir()) == 1)
		return OK;
	snprintf(why, size, "PROXXY_CA_FILE : cannot be used");
	return ERR_CONFIG;
}

int tls_verify_context(const struct tls_verify *v, SSL_CTX **ret, char *why, size_t size)
{
	SSL_CTX *tls = *ret = SSL_CTX_new(TLS_client_method());

	/* For TLS 1.2, the cipher suites whose algorithms algorithms.c loads. */
	if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
		snprintf(why, size, "OpenSSL cannot make a context");
		return ERR_SYSTEM;
	}
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	if (!v->config->tls_verify && source_of(v) == FROM_SETTINGS)
		return OK;

	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(tls, verify, (void *)(uintptr_t)v);
	return load_cas(v, tls, why, size);
}

/* Returns why the certificate was not accepted. */
static const char *untrusted_words(const struct tls_verify *v, long result)
{
	switch (result) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "it is self-signed";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "its CA is not known";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "it has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "it is not valid yet";
	case X509_V_ERR_CERT_REJECTED:
		return source_of(v) == FROM_PAYLOAD ? "it is not the one whose fingerprint the payload has" :
						      "its fingerprint is not in the cluster file";
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "it is for another name or address";
	default:
		return X509_verify_cert_error_string(result);
	}
}

/* Returns an alert's name. OpenSSL 3.0 has no names for these (RFC 8446 section 6, RFC 7507). */
static const char *alert_words(int alert)
{
	switch (alert) {
	case 86:
		return "inappropriate fallback";
	case 109:
		return "missing extension";
	case 115:
		return "unknown psk identity";
	case 116:
		return "certificate required";
	default:
		return SSL_alert_desc_string_long(alert);
	}
}

/* Writes the words for an error of TLS. algorithms.c does not load OpenSSL's own error texts. */
static void tls_words(unsigned long error, char *words, size_t size)
{
	const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;

	if (reason >= SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX)
		snprintf(words, size, "it refused: %s", alert_words(reason - SSL_AD_REASON_OFFSET));
	else if (reason == SSL_R_WRONG_VERSION_NUMBER)
		snprintf(words, size, "its port does not speak TLS");
	else if (reason == SSL_R_UNSUPPORTED_PROTOCOL)
		snprintf(words, size, "it speaks no TLS from 1.2 on");
	else if (error == 0)
		snprintf(words, size, "connection closed");
	else
		snprintf(words, size, "openssl errstr %lX", error);
}

int tls_verify_explain_handshake(const struct tls_verify *v, SSL *tls, char *ret_words, size_t size,
				 const char **ret_hint)
{
	const long result = SSL_get_verify_result(tls);
	const bool untrusted = result != X509_V_OK && SSL_get_verify_mode(tls) != SSL_VERIFY_NONE;
	const unsigned long error = ERR_peek_last_error();

	*ret_hint = "";
	if (untrusted)
		snprintf(ret_words, size, "%s", untrusted_words(v, result));
	else
		tls_words(error, ret_words, size);
	/* pveproxy closes the connection before it sends a byte if it does not admit this
	 * machine. */
	if (!untrusted && error == 0 && BIO_number_read(SSL_get_rbio(tls)) == 0)
		*ret_hint = " before TLS began: check that ALLOW_FROM and DENY_FROM in its /etc/default/pveproxy "
			    "admit this machine";
	ERR_clear_error();
	return untrusted ? ERR_UPSTREAM_UNTRUSTED : ERR_UPSTREAM_TLS;
}

bool tls_verify_explain_break(unsigned long error, char *ret_words, size_t size)
{
	const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;

	switch (reason) {
	case 0:
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
	case SSL_R_PROTOCOL_IS_SHUTDOWN:
		return false;
	case SSL_R_WRONG_VERSION_NUMBER: /* after the handshake, this means that the data is no record */
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
	case SSL_R_BAD_RECORD_TYPE:
		snprintf(ret_words, size, "it sent data that is not TLS");
		return true;
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
		snprintf(ret_words, size, "its data was changed on the way");
		return true;
	default:
		tls_words(error, ret_words, size);
		return true;
	}
}

bool tls_verify_set_host(SSL *tls, const struct console *c)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(tls);

	X509_VERIFY_PARAM_set_hostflags(param,
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (c->host_is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(param, c->host) == 1;
	return X509_VERIFY_PARAM_set1_host(param, c->host, 0) == 1 && SSL_set_tlsext_host_name(tls, c->host) == 1;
}
