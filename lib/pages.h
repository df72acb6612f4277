/* SPDX-License-Identifier: Apache-2.0
 *
 * Returning memory to the kernel: of thousands of sessions most are idle.
 */
#ifndef PROXXY_PAGES_H
#define PROXXY_PAGES_H

#include <stddef.h>

/* For large static variables: each begins on a page of its own, if pages have 4 KiB. An idle
 * session uses only that page of it, and pages_release() can return the whole variable. */
#define PAGED __attribute__((aligned(4096)))

/* Returns the pages that lie completely in at[0..size) to the kernel; their content becomes
 * zero. */
void pages_release(void *at, size_t size);

#endif
