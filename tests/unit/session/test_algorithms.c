/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests algorithms.h and random.h: what OpenSSL offers in a session, and that its random bytes are
 * the kernel's. The Makefile has the linker replace getrandom().
 */
#include "tests/unit/guard.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <sys/random.h>

#include "lib/error.h"
#include "session/algorithms.h"

ssize_t __real_getrandom(void *at, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *at, size_t size, unsigned flags);

static size_t at_most;    /* bytes of one getrandom(); 0 if there is no limit */
static int fails_with;    /* the errno of the next getrandom(), or 0 */
static bool fails_always; /* and of all further ones */
static size_t n_bytes;    /* that getrandom() returned */

ssize_t __wrap_getrandom(void *at, size_t size, unsigned flags)
{
	ssize_t n;

	if (fails_with) {
		errno = fails_with;
		fails_with = fails_always ? fails_with : 0;
		return -1;
	}
	n = __real_getrandom(at, at_most && size > at_most ? at_most : size, flags);
	n_bytes += n > 0 ? (size_t)n : 0;
	return n;
}

static int begin(void **state)
{
	(void)state;
	return algorithms_restrict() == OK ? 0 : -1;
}

static void random_bytes_are_the_kernels(void **state)
{
	static const int sizes[] = { 1, 16, 32, 4096, 65536, 65537, 200000 };
	static uint8_t one[200000], other[200000];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const size_t size = (size_t)sizes[i];

		memset(one, 0, sizeof(one));
		n_bytes = 0;
		CHECK_INT(RAND_bytes(one, sizes[i]), 1, "%zu bytes", size);
		CHECK_INT(n_bytes, size, "%zu bytes", size);
		CHECK_INT(RAND_priv_bytes(other, sizes[i]), 1, "%zu bytes", size);
		CHECK_INT(n_bytes, 2 * size, "%zu bytes", size);
		CHECK(size < 16 || memcmp(one, other, size) != 0, "%zu bytes", size);
		CHECK(size < 16 || memcmp(one + size - 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) != 0, "%zu", size);
	}
}

static void getrandom_returns_less_or_is_interrupted(void **state)
{
	uint8_t bytes[100] = { 0 };

	(void)state;
	at_most = 7;
	fails_with = EINTR;
	n_bytes = 0;
	assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
	assert_int_equal(n_bytes, sizeof(bytes));
	at_most = 0;
}

static void without_random_bytes_is_an_error(void **state)
{
	uint8_t bytes[16];

	(void)state;
	fails_with = ENOSYS;
	fails_always = true;
	assert_int_not_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
	assert_int_not_equal(RAND_priv_bytes(bytes, sizeof(bytes)), 1);
	fails_with = 0;
	fails_always = false;
	assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
}

static void tls_has_these_groups_only(void **state)
{
	static const char *const offered[] = { "X25519", "P-256", "P-384", "P-521" };
	static const char *const others[] = { "X448", "ffdhe2048", "brainpoolP256r1", "secp256k1", "P-224" };
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	(void)state;
	assert_non_null(tls);
	for (size_t i = 0; i < COUNT(offered); i++)
		CHECK_INT(SSL_CTX_set1_groups_list(tls, offered[i]), 1, "%s", offered[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		CHECK_INT(SSL_CTX_set1_groups_list(tls, others[i]), 0, "%s", others[i]);
	SSL_CTX_free(tls);
}

static void other_algorithms_do_not_exist(void **state)
{
	static const char *const digests[] = { "SHA1", "SHA256", "SHA384", "SHA512" };
	static const char *const other_digests[] = { "MD5", "SHA224", "SHA3-256", "SM3" };
	static const char *const other_ciphers[] = { "AES-128-CBC", "AES-256-CTR", "AES-256-CCM", "DES-EDE3-CBC" };

	(void)state;
	for (size_t i = 0; i < COUNT(digests); i++) {
		EVP_MD *digest = EVP_MD_fetch(NULL, digests[i], NULL);

		CHECK(digest && EVP_get_digestbyname(digests[i]), "%s", digests[i]);
		EVP_MD_free(digest);
	}
	for (size_t i = 0; i < COUNT(other_digests); i++)
		CHECK(!EVP_MD_fetch(NULL, other_digests[i], NULL), "%s", other_digests[i]);
	for (size_t i = 0; i < COUNT(other_ciphers); i++)
		CHECK(!EVP_CIPHER_fetch(NULL, other_ciphers[i], NULL), "%s", other_ciphers[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_are_the_kernels),
		cmocka_unit_test(getrandom_returns_less_or_is_interrupted),
		cmocka_unit_test(without_random_bytes_is_an_error),
		cmocka_unit_test(tls_has_these_groups_only),
		cmocka_unit_test(other_algorithms_do_not_exist),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, begin, print_checks);
}
