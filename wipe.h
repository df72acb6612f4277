/* SPDX-License-Identifier: Apache-2.0
 *
 * What secrets leave behind where nobody put them: on the stack, and in vector registers.
 */
#ifndef PROXXY_WIPE_H
#define PROXXY_WIPE_H

enum { WIPE_STACK = 32 * 1024 }; /* bytes; opening, connecting and upgrading take half of it */

/* Overwrites WIPE_STACK bytes below the caller's frame, and the registers that libraries that
 * are bound lazily have saved on the stack at any first call: they keep what memcpy() moved
 * last. The pages go back to the kernel. */
void wipe_stack(void);

#endif
