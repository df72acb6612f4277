/* SPDX-License-Identifier: Apache-2.0
 *
 * An OpenSSL provider (provider(7)) that offers a few algorithms of the default provider.
 * proxxy-conn.c starts OpenSSL with it.
 */
#include "session/algorithms.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "session/random.h"

enum { OFFERED_MAX = 8 }; /* algorithms of one operation, with the empty one at the end */

struct operation {
	int id;
	const char *names[OFFERED_MAX - 1]; /* the first name of each algorithm */
	const char *property;               /* that each must have too, or NULL */
	OSSL_ALGORITHM offered[OFFERED_MAX];
};

static struct operation operations[] = {
	{ .id = OSSL_OP_DIGEST, .names = { "SHA1", "SHA2-256", "SHA2-384", "SHA2-512" } },
	{ .id = OSSL_OP_CIPHER, .names = { "AES-256-CBC", "AES-256-GCM", "AES-128-GCM", "ChaCha20-Poly1305" } },
	{ .id = OSSL_OP_MAC, .names = { "HMAC" } },
	{ .id = OSSL_OP_KDF, .names = { "HKDF", "TLS13-KDF", "TLS1-PRF" } },
	{ .id = OSSL_OP_KEYMGMT, .names = { "RSA", "RSA-PSS", "EC", "X25519", "ED25519" } },
	{ .id = OSSL_OP_KEYEXCH, .names = { "ECDH", "X25519" } },
	{ .id = OSSL_OP_SIGNATURE, .names = { "RSA", "ECDSA", "ED25519" } },
	/* A certificate's public key. */
	{ .id = OSSL_OP_DECODER,
	  .names = { "RSA", "RSA-PSS", "EC", "ED25519" },
	  .property = "structure=SubjectPublicKeyInfo" },
};
#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* The groups for TLS's key exchange, by IANA's numbers: P-256, P-384, P-521 and X25519. OpenSSL
 * would make an object for each of some 50 groups. */
static const unsigned groups[] = { 0x17, 0x18, 0x19, 0x1D };

static OSSL_FUNC_provider_get_capabilities_fn *default_capabilities;
static void *default_context;

/* Who asked for the capabilities. */
struct asker {
	OSSL_CALLBACK *callback;
	void *arg;
};

/* True if name is the first of a's names, which are separated by colons. */
static bool is_named(const OSSL_ALGORITHM *a, const char *name)
{
	const char *first = a->algorithm_names;

	for (; *name && *first == *name; name++)
		first++;
	return !*name && (*first == ':' || !*first);
}

/* True if a is one of o's algorithms. */
static bool is_offered(const struct operation *o, const OSSL_ALGORITHM *a)
{
	if (o->property && !strstr(a->property_definition, o->property))
		return false;
	for (size_t i = 0; i < OFFERED_MAX - 1 && o->names[i]; i++)
		if (is_named(a, o->names[i]))
			return true;
	return false;
}

/* Copies o's algorithms out of all of the default provider's. */
static void choose(struct operation *o, const OSSL_ALGORITHM *all)
{
	size_t n = 0;

	for (; all && all->algorithm_names && n < OFFERED_MAX - 1; all++)
		if (is_offered(o, all))
			o->offered[n++] = *all;
}

/* OpenSSL calls this for an operation's algorithms. */
static const OSSL_ALGORITHM *query(void *context, int id, int *no_cache)
{
	(void)context;
	*no_cache = 0;
	if (id == OSSL_OP_RAND)
		return random_generators;
	for (size_t i = 0; i < N_OPERATIONS; i++)
		if (operations[i].id == id)
			return operations[i].offered;
	return NULL;
}

/* The default provider calls this for each of its groups. Tells the asker about those of groups[].
 * Returns 0 to stop. */
static int offer_group(const OSSL_PARAM *params, void *arg)
{
	const struct asker *asker = arg;
	const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, OSSL_CAPABILITY_TLS_GROUP_ID);
	unsigned id = 0;

	if (!number || OSSL_PARAM_get_uint(number, &id) != 1)
		return 1;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i] == id)
			return asker->callback(params, asker->arg);
	return 1;
}

/* OpenSSL calls this for what TLS can use. */
static int get_capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *arg)
{
	struct asker asker = { callback, arg };

	if (strcasecmp(capability, "TLS-GROUP") != 0)
		return default_capabilities(context, capability, callback, arg);
	return default_capabilities(context, capability, offer_group, &asker);
}

/* OpenSSL calls this when the provider is loaded. */
static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **ret_dispatch,
		void **ret_context)
{
	static const OSSL_DISPATCH dispatch[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
		{ OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities },
		{ 0, NULL },
	};

	(void)handle;
	(void)core;
	*ret_dispatch = dispatch;
	*ret_context = default_context;
	return 1;
}

/* Returns the provider's function that tells its capabilities, or NULL. */
static OSSL_FUNC_provider_get_capabilities_fn *capabilities_of(const OSSL_PROVIDER *provider)
{
	for (const OSSL_DISPATCH *d = OSSL_PROVIDER_get0_dispatch(provider); d->function_id; d++)
		if (d->function_id == OSSL_FUNC_PROVIDER_GET_CAPABILITIES)
			return OSSL_FUNC_provider_get_capabilities(d);
	return NULL;
}

/* Starts OpenSSL without openssl.cnf, without error texts (tls_verify.c has its own), without its
 * old tables of algorithms, and without clean-up at exit. */
static bool start(void)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
					   OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
					   OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
				   NULL) == 1 &&
	       OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_SSL_STRINGS, NULL) == 1;
}

/* Adds the digests that certificates name to the old table, where OpenSSL looks them up. At its
 * first fetch, OpenSSL copies all names of that table; therefore this fetches something before. */
static bool add_digests(void)
{
	EVP_MD *any = EVP_MD_fetch(NULL, "SHA2-256", NULL);

	EVP_MD_free(any);
	return any && EVP_add_digest(EVP_sha1()) && EVP_add_digest(EVP_sha256()) && EVP_add_digest(EVP_sha384()) &&
	       EVP_add_digest(EVP_sha512());
}

int algorithms_restrict(void)
{
	OSSL_PROVIDER *all = start() ? OSSL_PROVIDER_load(NULL, "default") : NULL;
	int no_cache;

	if (!all)
		return ERR_SYSTEM;
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		choose(&operations[i], OSSL_PROVIDER_query_operation(all, operations[i].id, &no_cache));
		if (!operations[i].offered[0].algorithm_names)
			return ERR_SYSTEM;
	}
	default_capabilities = capabilities_of(all);
	default_context = OSSL_PROVIDER_get0_provider_ctx(all);
	/* Its tables are static and stay valid. It must not be asked for further algorithms. */
	OSSL_PROVIDER_unload(all);
	if (!default_capabilities || OSSL_PROVIDER_add_builtin(NULL, "proxxy", init) != 1 ||
	    !OSSL_PROVIDER_load(NULL, "proxxy") || !random_use() || !add_digests())
		return ERR_SYSTEM;
	return OK;
}
