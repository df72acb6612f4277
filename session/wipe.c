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

enum { RELEASE_ROOM = 4096 }; /* bytes of stack that are left to wipe_stack() and what it calls */

static void __attribute__((noinline)) wipe_below(void)
{
	uint8_t below[WIPE_STACK];

	OPENSSL_cleanse(below, sizeof(below));
	for (size_t n = 8; n < sizeof(below) / 2; n *= 2) /* memcpy() uses different registers for each size */
		memmove(below + sizeof(below) / 2, below, n);
	OPENSSL_cleanse(below, sizeof(below));
}

void __attribute__((noinline)) wipe_stack(void)
{
	uint8_t *const here = __builtin_frame_address(0);

	wipe_below();
	/* The stack will not grow that deep again. The calls in here use less than a page of it. */
	pages_release(here - WIPE_STACK - 2 * RELEASE_ROOM, WIPE_STACK + RELEASE_ROOM);
}
