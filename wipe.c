/* SPDX-License-Identifier: Apache-2.0
 *
 * What secrets leave behind, see wipe.h.
 */
#include "wipe.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>

#include "io.h"

void __attribute__((noinline)) wipe_stack(void)
{
	uint8_t below[WIPE_STACK];

	OPENSSL_cleanse(below, sizeof(below));
	for (size_t n = 8; n < sizeof(below) / 2; n *= 2) /* each size has registers of its own */
		memmove(below + sizeof(below) / 2, below, n);
	OPENSSL_cleanse(below, sizeof(below));
	io_give_back(below, sizeof(below)); /* it is not needed so deep again */
}
