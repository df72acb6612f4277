/* SPDX-License-Identifier: Apache-2.0
 *
 * Returning memory to the kernel: of thousands of sessions most are idle.
 */
#ifndef PROXXY_PAGES_H
#define PROXXY_PAGES_H

#include <stddef.h>

/* Returns the pages that lie completely in at[0..size) to the kernel; their content becomes
 * zero. */
void pages_release(void *at, size_t size);

#endif
