/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps the pages that a session is about to use. proxxy-conn.c calls it after it read the request.
 */
#include "session/prefault.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ /* Linux 5.14; glibc 2.35 has them too */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

enum {
	HEAP = 192 * 1024, /* bytes of heap that opening a console uses */
	STACK = 28 * 1024, /* bytes of stack that it uses */
	TRIALS = 3,        /* page faults that are measured */
	DEAR_NS = 6000,    /* a page fault that takes longer is dear */
};

/* Maps all pages of [begin, end); how is a MADV_POPULATE_ constant. Ignores errors. */
static void map(uintptr_t begin, uintptr_t end, int how)
{
	const uintptr_t page = (uintptr_t)getpagesize();

	begin = begin / page * page;
	end = (end + page - 1) / page * page;
	if (begin < end)
		madvise((void *)begin, end - begin, how);
}

/* Maps an object's code and constants from the page cache. Skips segments of variables: mapping
 * them would copy every page. */
static int map_object(struct dl_phdr_info *object, size_t size, void *unused)
{
	(void)size, (void)unused;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		const uintptr_t begin = object->dlpi_addr + segment->p_vaddr;

		/* RELRO is written while linking and constant afterwards; it is a part of a
		 * writable segment. */
		if ((segment->p_type == PT_LOAD && !(segment->p_flags & PF_W)) || segment->p_type == PT_GNU_RELRO)
			map(begin, begin + segment->p_memsz, MADV_POPULATE_READ);
	}
	return 0;
}

/* Writes to a page of the heap, without changing it. Returns how long that took, in ns. */
static int64_t touch(uintptr_t page)
{
	struct timespec before, after;
	volatile char *at = (volatile char *)page;
	char same;

	clock_gettime(CLOCK_MONOTONIC, &before);
	same = *at;
	*at = same;
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec - before.tv_nsec;
}

/* Returns the free part of the heap after it was enlarged; both 0 if malloc() is not glibc's. */
static void enlarge_heap(uintptr_t *ret_begin, uintptr_t *ret_end)
{
	const uintptr_t page = (uintptr_t)getpagesize();
	void *first;

	mallopt(M_TOP_PAD, HEAP);
	first = calloc(1, 1);
	*ret_begin = ((uintptr_t)first / page + 1) * page;
	*ret_end = (uintptr_t)sbrk(0);
	free(first);
	if (*ret_begin > *ret_end || *ret_end - *ret_begin > 2 * HEAP)
		*ret_begin = *ret_end = 0;
}

void prefault(void)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0), page = (uintptr_t)getpagesize();
	int64_t fastest = INT64_MAX;
	uintptr_t heap, end;

	enlarge_heap(&heap, &end);
	/* The fastest counts, because the others may have been interrupted. */
	for (int i = 0; i < TRIALS && heap < end; i++, heap += page) {
		const int64_t took = touch(heap);

		if (took < fastest)
			fastest = took;
	}
	if (heap >= end || fastest <= DEAR_NS)
		return;
	dl_iterate_phdr(map_object, NULL);
	map(heap, end, MADV_POPULATE_WRITE);
	map(here - STACK, here, MADV_POPULATE_WRITE);
}
