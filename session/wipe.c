/* SPDX-License-Identifier: Apache-2.0
 *
 * Overwrites the stack below the caller and the vector registers. proxxy-conn.c calls it when the
 * tickets were used.
 */
#include "session/wipe.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>

#include "lib/pages.h"

void __attribute__((noinline)) wipe_stack(void)
{
	uint8_t below[WIPE_STACK];

	OPENSSL_cleanse(below, sizeof(below));
	for (size_t n = 8; n < sizeof(below) / 2; n *= 2) /* memcpy() uses different registers for each size */
		memmove(below + sizeof(below) / 2, below, n);
	OPENSSL_cleanse(below, sizeof(below));
	pages_release(below, sizeof(below)); /* the stack will not grow that deep again */
}
