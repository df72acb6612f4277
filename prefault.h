/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory before it is needed. A page costs little when the kernel maps many at once, and a good deal when each is
 * waited for: in a virtual machine a page fault can take 15 µs, and a session that lives for a second has 200 of them.
 */
#ifndef PROXXY_PREFAULT_H
#define PROXXY_PREFAULT_H

/* Maps what opening a console is going to touch: the program and its libraries, the heap that a TLS handshake takes,
 * the stack. Gives the session no page that it would not have had, but for a few that malloc_trim() gives back. Changes
 * nothing else; kernels before 5.14 do not know how, and fault as ever. */
void prefault(void);

#endif
