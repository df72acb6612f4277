/* SPDX-License-Identifier: Apache-2.0
 *
 * Wipes copies of secrets that calls leave behind on the stack and in vector registers.
 */
#ifndef PROXXY_WIPE_H
#define PROXXY_WIPE_H

enum { WIPE_STACK = 32 * 1024 }; /* bytes; opening the payload and the console uses half of it */

/* Overwrites WIPE_STACK bytes below the caller's frame, then returns these pages to the kernel.
 * Also overwrites the vector registers, which still hold what memcpy() moved last: with lazy
 * binding, the first call of a library function saves them on the stack. */
void wipe_stack(void);

#endif
