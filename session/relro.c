/* SPDX-License-Identifier: Apache-2.0
 *
 * Returns relocated pages of libraries, and makes them again: see relro.h. The names are those of
 * ELF's specification and of elf(5).
 */
#include "session/relro.h"

#include <limits.h> /* __GLIBC__ */
#include <malloc.h>

#if defined(__GLIBC__) && !defined(PROXXY_SANITIZE) && (defined(__x86_64__) || defined(__aarch64__))

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "session/resolve.h"

#ifndef DT_RELR /* glibc 2.36 */
#define DT_RELR 36
#endif

#ifdef __x86_64__
enum { RELATIVE = R_X86_64_RELATIVE, ABSOLUTE = R_X86_64_64, GLOBAL = R_X86_64_GLOB_DAT };
#else
enum { RELATIVE = R_AARCH64_RELATIVE, ABSOLUTE = R_AARCH64_ABS64, GLOBAL = R_AARCH64_GLOB_DAT };
#endif

enum {
	OBJECTS_MAX = 2, /* libcrypto and libssl */
	PAGES_MAX = 256, /* of one object; libcrypto has about 100 pages of tables */
	WORD = sizeof(uintptr_t),
};

/* A library. */
struct object {
	uintptr_t base;          /* what its addresses are relative to */
	uintptr_t begin, end;    /* its RELRO pages */
	const ElfW(Rela) * rela; /* its relocations; the first n_relative are RELATIVE, sorted by address */
	size_t n_relative, n_rela;
	const ElfW(Sym) * symbols;
	const ElfW(Rela) * calls; /* relocations of functions of other libraries: their pages are kept */
	size_t n_calls;
	uintptr_t dynamic, dynamic_end, got; /* the dynamic linker writes there too: these pages are kept */
};

struct tables {
	size_t n_objects;
	uintptr_t page; /* bytes */
	struct object objects[OBJECTS_MAX];
};

/* Constant once it is set, as the tables themselves are: it is on pages that are RELRO. Nobody who
 * can write to variables can make the handler write elsewhere. */
static struct tables found __attribute__((section(".data.rel.ro")));

/* Which pages of each object are returned. An entry that is wrong makes a page again, with the same
 * content. */
static bool returned[OBJECTS_MAX][PAGES_MAX];

/* --- relocations -------------------------------------------------------------------------- */

/* Sets *ret_value to what the dynamic linker writes for r. Returns false if that depends on other
 * libraries or on the processor. */
static bool value_of(const struct object *o, const ElfW(Rela) * r, uintptr_t *ret_value)
{
	const ElfW(Sym) *symbol = &o->symbols[ELF64_R_SYM(r->r_info)];
	const int type = ELF64_ST_TYPE(symbol->st_info);

	switch (ELF64_R_TYPE(r->r_info)) {
	case RELATIVE:
		*ret_value = o->base + (uintptr_t)r->r_addend;
		return true;
	case ABSOLUTE:
	case GLOBAL:
		if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE ||
		    (type != STT_OBJECT && type != STT_FUNC && type != STT_NOTYPE))
			return false;
		*ret_value = o->base + symbol->st_value + (uintptr_t)r->r_addend;
		return true;
	default:
		return false;
	}
}

/* Writes what r says, if it is in [begin, end). */
static void apply(const struct object *o, const ElfW(Rela) * r, uintptr_t begin, uintptr_t end)
{
	const uintptr_t at = o->base + r->r_offset;
	uintptr_t value;

	if (at >= begin && at < end && value_of(o, r, &value))
		memcpy((void *)at, &value, WORD);
}

/* Returns the first of o's RELATIVE relocations that is not before the address at. */
static size_t first_at(const struct object *o, uintptr_t at)
{
	size_t low = 0, high = o->n_relative;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (o->base + o->rela[middle].r_offset < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Makes the page at begin again. Returns false if the kernel refuses. */
static bool make_page(const struct object *o, uintptr_t begin)
{
	const uintptr_t end = begin + found.page;

	if (mprotect((void *)begin, found.page, PROT_READ | PROT_WRITE) < 0)
		return false;
	for (size_t i = first_at(o, begin); i < o->n_relative && o->base + o->rela[i].r_offset < end; i++)
		apply(o, &o->rela[i], begin, end);
	for (size_t i = o->n_relative; i < o->n_rela; i++)
		apply(o, &o->rela[i], begin, end);
	return mprotect((void *)begin, found.page, PROT_READ) == 0;
}

/* --- the handler -------------------------------------------------------------------------- */

/* Makes the page of the address at again. Returns false if it is no returned page. */
static bool restore(uintptr_t at)
{
	for (size_t i = 0; i < found.n_objects; i++) {
		const struct object *o = &found.objects[i];
		const size_t n = (at - o->begin) / found.page;

		if (at < o->begin || at >= o->end || !returned[i][n])
			continue;
		returned[i][n] = false; /* if this page faults again, it was not for its content */
		return make_page(o, o->begin + n * found.page);
	}
	return false;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	const int error = errno;

	(void)number, (void)context;
	/* SIGSEGV is blocked in here: another fault ends the process with it. (The sandbox forbids
	 * to remove the handler.) Code is never writable. */
	if (info->si_code != SEGV_ACCERR || !restore((uintptr_t)info->si_addr))
		*(volatile char *)(uintptr_t)on_fault = 0;
	errno = error;
}

/* --- what can be returned ----------------------------------------------------------------- */

/* True if the relocations that o's file counts as RELATIVE are, and are sorted, each of a whole
 * word. All linkers sort them, but ELF does not promise it. */
static bool is_sorted(const struct object *o)
{
	ElfW(Addr) last = 0, bits = 0;
	size_t other = 0;

	for (size_t i = 0; i < o->n_relative; i++) {
		other += o->rela[i].r_info != ELF64_R_INFO(0, RELATIVE) || o->rela[i].r_offset < last;
		last = o->rela[i].r_offset;
		bits |= last;
	}
	return other == 0 && bits % WORD == 0;
}

/* Marks o's pages with bytes of [at, at + size) as such that are kept. */
static void keep(const struct object *o, bool *kept, uintptr_t at, size_t size)
{
	for (uintptr_t p = at / found.page * found.page; p < at + size; p += found.page)
		if (p >= o->begin && p < o->end)
			kept[(p - o->begin) / found.page] = true;
}

/* Marks o's pages that the handler could not make again as they are. */
static void keep_others(const struct object *o, bool *kept)
{
	/* A symbol's address may be that of another library. */
	for (size_t i = o->n_relative; i < o->n_rela; i++) {
		const uintptr_t at = o->base + o->rela[i].r_offset;
		uintptr_t value;

		if (at < o->begin || at >= o->end)
			continue;
		if (at % WORD != 0 || !value_of(o, &o->rela[i], &value) || memcmp((void *)at, &value, WORD) != 0)
			keep(o, kept, at, WORD);
	}
	for (size_t i = 0; i < o->n_calls; i++)
		keep(o, kept, o->base + o->calls[i].r_offset, WORD);
	keep(o, kept, o->dynamic, o->dynamic_end - o->dynamic);
	keep(o, kept, o->got, 3 * WORD); /* the dynamic linker's own entries */
}

/* Returns o's pages from number first to number last, without last. */
static void release_pages(const struct object *o, bool *are_returned, size_t first, size_t last)
{
	void *at = (void *)(o->begin + first * found.page);
	const size_t size = (last - first) * found.page;

	memset(are_returned + first, true, last - first);
	if (mprotect(at, size, PROT_NONE) == 0)
		madvise(at, size, MADV_DONTNEED);
	else
		memset(are_returned + first, false, last - first);
}

void relro_release(void)
{
	for (size_t i = 0; i < found.n_objects; i++) {
		const struct object *o = &found.objects[i];
		const size_t n = (o->end - o->begin) / found.page;
		bool kept[PAGES_MAX] = { false };

		if (!is_sorted(o))
			continue;
		keep_others(o, kept);
		for (size_t first = 0, last; first < n; first = last + 1) {
			for (last = first; last < n && !kept[last] && !returned[i][last]; last++)
				;
			if (last > first)
				release_pages(o, returned[i], first, last);
		}
	}
}

/* --- where the tables are ----------------------------------------------------------------- */

/* Reads o's dynamic section. Returns false if something is unknown there. */
static bool read_dynamic(struct object *o, const ElfW(Dyn) * entry)
{
	/* glibc has added base to the addresses already. */
	for (; entry->d_tag != DT_NULL; entry++) {
		const ElfW(Addr) at = entry->d_un.d_ptr < o->base ? o->base + entry->d_un.d_ptr : entry->d_un.d_ptr;

		switch (entry->d_tag) {
		case DT_RELA:
			o->rela = (const void *)at;
			break;
		case DT_RELASZ:
			o->n_rela = entry->d_un.d_val / sizeof(*o->rela);
			break;
		case DT_RELACOUNT:
			o->n_relative = entry->d_un.d_val;
			break;
		case DT_JMPREL:
			o->calls = (const void *)at;
			break;
		case DT_PLTRELSZ:
			o->n_calls = entry->d_un.d_val / sizeof(*o->calls);
			break;
		case DT_SYMTAB:
			o->symbols = (const void *)at;
			break;
		case DT_PLTGOT:
			o->got = at;
			break;
		case DT_REL:
		case DT_RELR:
		case DT_TEXTREL:
			return false;
		default:
			break;
		}
	}
	return o->rela && o->symbols && o->n_relative <= o->n_rela && (o->n_calls == 0 || o->calls);
}

static bool is_openssl(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return strncmp(name, "libcrypto.so.", 13) == 0 || strncmp(name, "libssl.so.", 10) == 0;
}

/* Looks at an object's segments. Sets *ret_dynamic to its dynamic section, or NULL if the pages of
 * o are not backed by its file. */
static void read_segments(struct object *o, const struct dl_phdr_info *info, uintptr_t page,
			  const ElfW(Dyn) * *ret_dynamic)
{
	uintptr_t file_begin = 0, file_end = 0;

	*ret_dynamic = NULL;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uintptr_t at = o->base + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && segment->p_flags == (PF_R | PF_W) && file_end == 0) {
			file_begin = at / page * page;
			file_end = (at + segment->p_filesz) / page * page;
		} else if (segment->p_type == PT_GNU_RELRO) {
			/* The same pages that the dynamic linker makes constant. */
			o->begin = at / page * page;
			o->end = (at + segment->p_memsz) / page * page;
		} else if (segment->p_type == PT_DYNAMIC) {
			*ret_dynamic = (const void *)at;
			o->dynamic = at;
			o->dynamic_end = at + segment->p_memsz;
		}
	}
	if (o->begin < file_begin || o->end > file_end)
		*ret_dynamic = NULL;
}

/* What search() finds. */
struct search {
	struct tables tables;
	bool is_constant; /* "found" is on pages that are RELRO */
	bool in_valgrind; /* which does not restore all registers after a fault */
};

/* dl_iterate_phdr() calls this for the program and each library. */
static int search(struct dl_phdr_info *info, size_t size, void *to)
{
	struct search *s = to;
	struct object o = { .base = info->dlpi_addr };
	const ElfW(Dyn) * dynamic;

	(void)size;
	read_segments(&o, info, s->tables.page, &dynamic);
	if ((uintptr_t)&found >= o.begin && (uintptr_t)(&found + 1) <= o.end)
		s->is_constant = true;
	if (strstr(info->dlpi_name, "/vgpreload_"))
		s->in_valgrind = true;
	if (s->tables.n_objects < OBJECTS_MAX && is_openssl(info->dlpi_name) && dynamic && o.begin < o.end &&
	    (o.end - o.begin) / s->tables.page <= PAGES_MAX && read_dynamic(&o, dynamic))
		s->tables.objects[s->tables.n_objects++] = o;
	return 0;
}

void relro_prepare(void)
{
	const uintptr_t page = (uintptr_t)getpagesize(), begin = (uintptr_t)&found / page * page;
	const size_t size = ((uintptr_t)&found + sizeof(found) + page - 1) / page * page - begin;
	const struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct search s = { .tables.page = page };
	sigset_t set;

	if (resolve_is_running())
		return;
	dl_iterate_phdr(search, &s);
	if (s.tables.n_objects == 0 || !s.is_constant || s.in_valgrind ||
	    mprotect((void *)begin, size, PROT_READ | PROT_WRITE) < 0)
		return;
	found = s.tables;
	/* Whoever started the process may have blocked the signal. */
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	if (sigaction(SIGSEGV, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		found.n_objects = 0;
	mprotect((void *)begin, size, PROT_READ);
}

#else

void relro_prepare(void)
{
}

void relro_release(void)
{
}
#endif

int64_t relro_release_in_time(int64_t now)
{
	static int64_t due;

	if (due == 0)
		due = now + RELRO_DELAY_MS;
	if (now < due)
		return due;
	if (due < INT64_MAX) {
		relro_release();
		malloc_trim(0); /* what reading Proxmox's answer needed */
	}
	due = INT64_MAX;
	return due;
}
