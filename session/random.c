/* SPDX-License-Identifier: Apache-2.0
 *
 * A generator of random bytes for OpenSSL: getrandom(2). algorithms.c offers it.
 */
#include "session/random.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <sys/random.h>

#define NAME "GETRANDOM"

enum {
	STRENGTH = 256,         /* bits */
	REQUEST_MAX = 64 * 1024 /* bytes; OpenSSL splits larger requests */
};

static char context; /* there is no state, but OpenSSL wants an address */

static void *new_context(void *provider, void *parent, const OSSL_DISPATCH *parent_calls)
{
	(void)provider, (void)parent, (void)parent_calls;
	return &context;
}

static void free_context(void *unused)
{
	(void)unused;
}

static int instantiate(void *unused, unsigned strength, int resistance, const unsigned char *text, size_t len,
		       const OSSL_PARAM *params)
{
	(void)unused, (void)resistance, (void)text, (void)len, (void)params;
	return strength <= STRENGTH;
}

static int uninstantiate(void *unused)
{
	(void)unused;
	return 1;
}

/* Writes size random bytes to out. Returns 0 if there are none. */
static int generate(void *unused, unsigned char *out, size_t size, unsigned strength, int resistance,
		    const unsigned char *text, size_t len)
{
	(void)unused, (void)resistance, (void)text, (void)len;
	while (size > 0) {
		const ssize_t n = getrandom(out, size, 0);

		if (n < 0 && errno != EINTR)
			return 0;
		if (n > 0) {
			out += n;
			size -= (size_t)n;
		}
	}
	return strength <= STRENGTH;
}

/* OpenSSL may call this from several threads; getrandom() needs no lock. */
static int enable_locking(void *unused)
{
	(void)unused;
	return 1;
}

static int get_parameters(void *unused, OSSL_PARAM *params)
{
	OSSL_PARAM *state = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);
	OSSL_PARAM *strength = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
	OSSL_PARAM *max = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);

	(void)unused;
	return (!state || OSSL_PARAM_set_int(state, EVP_RAND_STATE_READY)) &&
	       (!strength || OSSL_PARAM_set_uint(strength, STRENGTH)) &&
	       (!max || OSSL_PARAM_set_size_t(max, REQUEST_MAX));
}

static const OSSL_DISPATCH functions[] = {
	{ OSSL_FUNC_RAND_NEWCTX, (void (*)(void))new_context },
	{ OSSL_FUNC_RAND_FREECTX, (void (*)(void))free_context },
	{ OSSL_FUNC_RAND_INSTANTIATE, (void (*)(void))instantiate },
	{ OSSL_FUNC_RAND_UNINSTANTIATE, (void (*)(void))uninstantiate },
	{ OSSL_FUNC_RAND_GENERATE, (void (*)(void))generate },
	{ OSSL_FUNC_RAND_ENABLE_LOCKING, (void (*)(void))enable_locking },
	{ OSSL_FUNC_RAND_GET_CTX_PARAMS, (void (*)(void))get_parameters },
	{ 0, NULL },
};

const OSSL_ALGORITHM random_generators[] = {
	{ NAME, "provider=proxxy", functions, NULL },
	{ NULL, NULL, NULL, NULL },
};

bool random_use(void)
{
	return RAND_set_seed_source_type(NULL, NAME, NULL) == 1 &&
	       RAND_set_DRBG_type(NULL, NAME, NULL, NULL, NULL) == 1;
}
