/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps memory before it is needed, many pages with one system call. In a virtual machine a page
 * fault can take 15 us, and a session that lives for a second has 200 of them.
 */
#ifndef PROXXY_PREFAULT_H
#define PROXXY_PREFAULT_H

/* Maps what opening a console will use: the program and its libraries, the stack, and the heap for
 * a TLS handshake. Tells malloc() to ask for this much at once (M_TOP_PAD). The session returns
 * unused pages to the kernel before it relays. Does nothing on kernels before 5.14, where pages are
 * faulted in as usual. */
void prefault(void);

#endif
