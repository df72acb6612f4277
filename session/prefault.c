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
#include <unistd.h>

#ifndef MADV_POPULATE_READ /* Linux 5.14; glibc 2.35 has them too */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

enum {
	HEAP = 320 * 1024, /* bytes of heap that opening a console uses, with libseccomp */
	STACK = 28 * 1024, /* bytes of stack that it uses */
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

static void map_heap(void)
{
	uintptr_t begin, end;
	void *first;

	mallopt(M_TOP_PAD, HEAP);
	first = malloc(1);
	begin = (uintptr_t)first;
	end = (uintptr_t)sbrk(0);
	free(first);
	if (begin < end && end - begin < 2 * HEAP) /* else malloc() is not glibc's, and its heap is elsewhere */
		map(begin, end, MADV_POPULATE_WRITE);
}

void prefault(void)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	dl_iterate_phdr(map_object, NULL);
	map_heap();
	map(here - STACK, here, MADV_POPULATE_WRITE);
}
