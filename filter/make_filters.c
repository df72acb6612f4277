/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiles the filters of a session with libseccomp, and prints them as C:
 *
 *     make_filters ARCHITECTURE > filters.h
 *
 * It runs while proxxy is built. So a session needs neither libseccomp nor the time to compile.
 * The process's number is known only to the session: each filter is compiled for two numbers, and
 * where the results differ, the session writes its own (session/seccomp_filter.c).
 */
#include "filter/rules.h"
#include "filter/values.h"

#include <endian.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two numbers that differ in every byte, and that no other rule compares with. The kernel's largest
 * is 4194304. */
static const uint32_t markers[2] = { 0x5A5A5A5A, 0x25A5A5A5 };

enum {
	MAX_PLACES = 4, /* of the process's number in a filter */
	INSTRUCTIONS_IN_LINE = 4,
};

static const struct {
	const char *name;
	bool (*add)(scmp_filter_ctx filter, const struct filter_target *target);
	uint32_t default_action;
	bool has_pid; /* whether a rule compares with the process's number */
} filters[] = {
	{ "opening", filter_add_opening, FILTER_OPENING_DEFAULT, true },
	{ "relaying", filter_add_relaying, FILTER_RELAYING_DEFAULT, true },
};

enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

static const struct value {
	const char *name;
	long long value;
} values[] = {
#define VALUE(name) { #name, name },
	FILTER_VALUES(VALUE)
};

/* A compiled filter, and where the process's number is in it. */
struct program {
	struct sock_filter code[BPF_MAXINSNS + 1]; /* one more, to see whether there are too many */
	size_t length, places;
	size_t place[MAX_PLACES];
};

_Noreturn static void fail(const char *name, const char *words)
{
	fprintf(stderr, "make_filters: %s: %s\n", name, words);
	exit(EXIT_FAILURE);
}

/* Returns the processor of that name. */
static uint32_t find_architecture(const char *name)
{
	const uint32_t found = seccomp_arch_resolve_name(name);

	if (found == 0)
		fail(name, "filter/architecture.h or libseccomp does not know this processor");
	/* libseccomp writes numbers in the target's byte order. */
	if (!(found & __AUDIT_ARCH_LE) != (BYTE_ORDER == BIG_ENDIAN))
		fail(name, "must be built on a machine with the same byte order");
	return found;
}

/* Compiles filters[i] for that process. */
static void compile(size_t i, const struct filter_target *target, struct program *ret)
{
	scmp_filter_ctx filter = filter_begin(filters[i].default_action, target);
	FILE *file = tmpfile();

	if (!filter || !file)
		fail(filters[i].name, "no filter can be made");
	/* 2: a binary search for the call's number. The kernel runs a new filter once for each
	 * system call that there is, to remember which are always allowed. */
	if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0 || !filters[i].add(filter, target))
		fail(filters[i].name, "libseccomp refuses a rule");
	if (seccomp_export_bpf(filter, fileno(file)) != 0 || fseek(file, 0, SEEK_SET) != 0)
		fail(filters[i].name, "cannot be compiled");
	ret->length = fread(ret->code, sizeof(ret->code[0]), BPF_MAXINSNS + 1, file);
	if (ret->length == 0 || ret->length > BPF_MAXINSNS)
		fail(filters[i].name, "has no or too many instructions");
	fclose(file);
	seccomp_release(filter);
}

/* Compiles filters[i] for both markers, and finds the instructions that compare with them. */
static void compile_for_any_process(size_t i, uint32_t architecture, struct program *ret)
{
	static struct program other;

	compile(i, &(struct filter_target){ architecture, markers[0] }, ret);
	compile(i, &(struct filter_target){ architecture, markers[1] }, &other);
	if (ret->length != other.length)
		fail(filters[i].name, "depends on the process's number");
	ret->places = 0;
	for (size_t at = 0; at < ret->length; at++) {
		struct sock_filter *here = &ret->code[at], *there = &other.code[at];

		if (here->code != there->code || here->jt != there->jt || here->jf != there->jf)
			fail(filters[i].name, "depends on the process's number");
		if (here->k == there->k)
			continue;
		if (here->k != markers[0] || there->k != markers[1] || here->code != (BPF_JMP | BPF_JEQ | BPF_K))
			fail(filters[i].name, "computes with the process's number");
		if (ret->places == MAX_PLACES)
			fail(filters[i].name, "compares with the process's number too often");
		ret->place[ret->places++] = at;
		here->k = 0; /* no process has this number */
	}
	if ((ret->places > 0) != filters[i].has_pid)
		fail(filters[i].name, "has the process's number where none was expected, or nowhere");
}

static void print_code(const struct program *program)
{
	for (size_t at = 0; at < program->length; at++)
		printf("%s{ 0x%02x, %3u, %3u, 0x%08x },%s", at % INSTRUCTIONS_IN_LINE == 0 ? "\t" : " ",
		       program->code[at].code, program->code[at].jt, program->code[at].jf, program->code[at].k,
		       at % INSTRUCTIONS_IN_LINE == INSTRUCTIONS_IN_LINE - 1 || at + 1 == program->length ? "\n" : "");
}

/* Prints all instructions, and returns the length of the longest filter. */
static size_t print_filters(const struct program *programs)
{
	size_t longest = 0;

	printf("\nstatic const struct sock_filter filter_code[] = {\n");
	for (size_t i = 0; i < FILTERS; i++) {
		printf("\t/* %s */\n", filters[i].name);
		print_code(&programs[i]);
		longest = longest > programs[i].length ? longest : programs[i].length;
	}
	printf("};\n");
	return longest;
}

static void print_parts(const struct program *programs)
{
	size_t from = 0;

	printf("\n/* Where a filter begins in filter_code, and where in it the process's number belongs. */\n"
	       "static const struct {\n\tuint16_t from, length, places, place[%d];\n} filter_parts[] = {\n",
	       MAX_PLACES);
	for (size_t i = 0; i < FILTERS; i++) {
		printf("\t{ %zu, %zu, %zu, {", from, programs[i].length, programs[i].places);
		for (size_t at = 0; at < MAX_PLACES; at++)
			printf(" %zu,", at < programs[i].places ? programs[i].place[at] : 0);
		printf(" } }, /* %s */\n", filters[i].name);
		from += programs[i].length;
	}
	printf("};\n");
}

int main(int argc, char **argv)
{
	static struct program programs[FILTERS];

	if (argc != 2)
		fail("usage", "make_filters ARCHITECTURE");
	for (size_t i = 0; i < FILTERS; i++)
		compile_for_any_process(i, find_architecture(argv[1]), &programs[i]);
	printf("/* Written by filter/make_filters.c, for %s. */\n#include \"filter/values.h\"\n\n", argv[1]);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		printf("_Static_assert(%s == %lld, \"the filters were made on a machine with another value\");\n",
		       values[i].name, values[i].value);
	printf("\nenum { FILTER_LONGEST = %zu };\n", print_filters(programs));
	print_parts(programs);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
