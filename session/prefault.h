/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps memory before it is needed, many pages with one system call, on machines where page faults
 * are dear. A session that lives for a second has 300 of them. In a virtual machine that has no
 * page tables of its own (PVM), one can take 15 us. Elsewhere it takes 1 to 3 us, and the kernel
 * maps up to 16 pages of a file with it, so that mapping whole files would take longer.
 */
#ifndef PROXXY_PREFAULT_H
#define PROXXY_PREFAULT_H

/* Tells malloc() to ask at once for as much heap as opening a console uses (M_TOP_PAD). Measures
 * a few page faults with it. If they are dear, maps what opening a console will use: the program
 * and its libraries, the stack, and the heap. The session returns unused pages to the kernel before
 * it relays. On kernels before 5.14 pages are always faulted in as usual. */
void prefault(void);

#endif
