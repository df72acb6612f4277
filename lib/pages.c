/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that is not needed any more, see pages.h.
 */
#include "lib/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void pages_release(void *at, size_t size)
{
	const uintptr_t page = (uintptr_t)getpagesize();
	const uintptr_t begin = ((uintptr_t)at + page - 1) / page * page, end = ((uintptr_t)at + size) / page * page;

	if (begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}
