/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory before it is needed. A page costs little when the kernel maps many at once, and a good deal when each is
 * waited for: in a virtual machine a page fault can take 15 µs, and a session that lives for a second has 200 of them.
 */
#ifndef PROXXY_PREFAULT_H
#define PROXXY_PREFAULT_H

/* Maps what opening a console is going to touch: the program and its libraries, the stack, and the heap that a TLS
 * handshake takes, which malloc() is told to ask for at once (M_TOP_PAD). A session that relays has given back what it
 * would not have had. Kernels before 5.14 do not know how, and fault as ever. */
void prefault(void);

#endif
