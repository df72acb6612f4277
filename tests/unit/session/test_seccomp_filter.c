/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests seccomp_filter.h: the filters of the build decide as the same rules do when libseccomp
 * compiles them here. An interpreter of BPF asks both, for every system call, and for the arguments
 * and processors that make a difference. Every instruction of both filters is run.
 */
#include "tests/unit/guard.h"

#include "session/seccomp_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter/architecture.h"
#include "filter/rules.h"

enum {
	ARGUMENTS = 6,
	CALLS = 1100,     /* more than any processor has */
	X32 = 0x40000000, /* added to the numbers of calls of the x32 ABI */
	MAX_VALUES = 64,  /* with which a filter compares the arguments of one call */
	MAX_BASES = 64,   /* arguments that reached an instruction for the first time */
	PID = 4711,
};

static const struct rules {
	const char *name;
	bool (*add)(scmp_filter_ctx filter, const struct filter_target *target);
	uint32_t default_action;
} rules[SECCOMP_FILTERS] = {
	[SECCOMP_OPENING] = { "opening", filter_add_opening, FILTER_OPENING_DEFAULT },
	[SECCOMP_RELAYING] = { "relaying", filter_add_relaying, FILTER_RELAYING_DEFAULT },
};

struct filter {
	struct sock_filter code[BPF_MAXINSNS];
	size_t length;
	bool reached[BPF_MAXINSNS];
};

static struct filter built, compiled;

/* With which values the arguments were compared since the list was emptied, and whether an
 * instruction was reached that no call had reached before. */
static uint64_t values[MAX_VALUES];
static size_t value_count;
static bool reached_more;

static void add_value(uint64_t value)
{
	for (size_t i = 0; i < value_count; i++)
		if (values[i] == value)
			return;
	assert_true(value_count < MAX_VALUES);
	values[value_count++] = value;
}

/* Returns whether a comparison is true. The test fails at one that libseccomp does not make. */
static bool compare(uint16_t code, uint32_t a, uint32_t k)
{
	switch (code) {
	case BPF_JMP | BPF_JEQ | BPF_K:
		return a == k;
	case BPF_JMP | BPF_JGT | BPF_K:
		return a > k;
	case BPF_JMP | BPF_JGE | BPF_K:
		return a >= k;
	case BPF_JMP | BPF_JSET | BPF_K:
		return (a & k) != 0;
	default:
		fail_msg("an unknown instruction 0x%x", code);
		return false;
	}
}

/* Runs a filter as the kernel does. Returns its decision. */
static uint32_t run(struct filter *filter, const struct seccomp_data *call)
{
	uint32_t a = 0;
	bool is_argument = false;

	for (size_t at = 0; at < filter->length; at++) {
		const struct sock_filter *now = &filter->code[at];

		reached_more |= !filter->reached[at];
		filter->reached[at] = true;
		if (now->code == (BPF_LD | BPF_W | BPF_ABS)) {
			assert_true(now->k % sizeof(a) == 0 && now->k < sizeof(*call));
			memcpy(&a, (const uint8_t *)call + now->k, sizeof(a));
			is_argument = now->k >= offsetof(struct seccomp_data, args);
			continue;
		}
		if (now->code == (BPF_RET | BPF_K))
			return now->k;
		if (is_argument)
			add_value(now->k);
		if (now->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= now->k;
		else if (now->code == (BPF_JMP | BPF_JA))
			at += now->k;
		else
			at += compare(now->code, a, now->k) ? now->jt : now->jf;
	}
	fail_msg("the filter has no end");
	return 0;
}

static void ask_both(const char *name, const struct seccomp_data *call)
{
	const uint32_t decided = run(&built, call), expected = run(&compiled, call);

	CHECK(decided == expected, "%s: call %d of 0x%x with %#llx %#llx %#llx %#llx %#llx %#llx: 0x%x, not 0x%x", name,
	      call->nr, call->arch, call->args[0], call->args[1], call->args[2], call->args[3], call->args[4],
	      call->args[5], decided, expected);
}

/* Writes the values that arguments are compared with, and those around them. Returns how many. */
static size_t list_interesting(uint64_t ret[2 + MAX_VALUES * 5])
{
	size_t n = 0;

	ret[n++] = 0;
	ret[n++] = UINT64_MAX;
	for (size_t i = 0; i < value_count; i++) {
		ret[n++] = values[i];
		ret[n++] = values[i] - 1;
		ret[n++] = values[i] + 1;
		ret[n++] = values[i] | UINT64_C(1) << 32; /* a filter compares each half */
		ret[n++] = values[i] << 32;
	}
	return n;
}

/* Asks both filters about the call, with any two arguments that could make a difference. */
static void ask_pairs(const char *name, struct seccomp_data call, const uint64_t *interesting, size_t count)
{
	for (size_t first = 0; first < ARGUMENTS; first++)
		for (size_t second = first + 1; second < ARGUMENTS; second++)
			for (size_t i = 0; i < count * count; i++) {
				memset(call.args, 0, sizeof(call.args));
				call.args[first] = interesting[i / count];
				call.args[second] = interesting[i % count];
				ask_both(name, &call);
			}
}

/* Asks both filters about the call, with all arguments that could make a difference: begins with
 * zeroes, changes one argument at a time, and goes on from where that reaches an instruction for
 * the first time. */
static void ask_about(const char *name, struct seccomp_data call)
{
	struct seccomp_data bases[MAX_BASES] = { call };
	uint64_t interesting[2 + MAX_VALUES * 5];
	size_t base_count = 1, count, before;

	value_count = 0;
	ask_both(name, &call);
	if (value_count == 0)
		return; /* the arguments make no difference */
	do {
		before = value_count + base_count;
		count = list_interesting(interesting);
		for (size_t base = 0; base < base_count; base++)
			for (size_t i = 0; i < ARGUMENTS * count; i++) {
				call = bases[base];
				call.args[i / count] = interesting[i % count];
				reached_more = false;
				ask_both(name, &call);
				assert_true(base_count < MAX_BASES);
				if (reached_more)
					bases[base_count++] = call;
			}
	} while (value_count + base_count > before);
	ask_pairs(name, call, interesting, count);
}

/* Compiles the rules as a session would without filters from the build: in another way than
 * make_filters, with no search tree. */
static void compile_rules(const struct rules *these, const struct filter_target *target)
{
	scmp_filter_ctx filter = filter_begin(these->default_action, target);
	FILE *file = tmpfile();

	assert_non_null(filter);
	assert_non_null(file);
	assert_true(these->add(filter, target));
	assert_int_equal(seccomp_export_bpf(filter, fileno(file)), 0);
	assert_int_equal(fseek(file, 0, SEEK_SET), 0);
	compiled.length = fread(compiled.code, sizeof(compiled.code[0]), BPF_MAXINSNS, file);
	assert_true(compiled.length > 0 && compiled.length < BPF_MAXINSNS);
	fclose(file);
	seccomp_release(filter);
}

/* Sets built and compiled. */
static struct filter_target prepare(enum seccomp_filter which)
{
	const struct filter_target target = { seccomp_arch_resolve_name(FILTER_ARCHITECTURE), PID };

	assert_int_equal(target.architecture, seccomp_arch_native());
	memset(&built, 0, sizeof(built));
	memset(&compiled, 0, sizeof(compiled));
	built.length = seccomp_filter_get(which, PID, built.code);
	compile_rules(&rules[which], &target);
	return target;
}

/* Every instruction must have been run, except those to which no jump leads: libseccomp writes some
 * of them at the end of a long filter. */
static void check_reached(const char *name, const struct filter *filter)
{
	bool can_be_reached[BPF_MAXINSNS + 256] = { true };

	for (size_t at = 0; at < filter->length; at++) {
		const struct sock_filter *now = &filter->code[at];

		if (!can_be_reached[at])
			continue;
		CHECK(filter->reached[at], "%s: instruction %zu of %zu is never run", name, at, filter->length);
		if (now->code == (BPF_RET | BPF_K))
			continue;
		if (now->code == (BPF_JMP | BPF_JA)) {
			assert_true(now->k < filter->length - at);
			can_be_reached[at + 1 + now->k] = true;
		} else {
			can_be_reached[at + 1 + now->jt] = true; /* 0 of instructions that do not jump */
			can_be_reached[at + 1 + now->jf] = true;
		}
	}
}

static void filters_of_the_build_decide_as_libseccomp_does(void **state)
{
	static const uint32_t foreign[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,    AUDIT_ARCH_AARCH64,
					    AUDIT_ARCH_ARM,    AUDIT_ARCH_RISCV64, AUDIT_ARCH_PPC64LE,
					    AUDIT_ARCH_S390X,  AUDIT_ARCH_MIPS,    0,
					    UINT32_MAX };
	static const int special[] = { -1, -2, INT32_MAX, INT32_MIN, X32 - 1 };

	(void)state;
	for (size_t which = 0; which < SECCOMP_FILTERS; which++) {
		const struct filter_target target = prepare((enum seccomp_filter)which);
		const char *name = rules[which].name;

		for (int nr = 0; nr < CALLS; nr++) {
			ask_about(name, (struct seccomp_data){ .nr = nr, .arch = target.architecture });
			ask_about(name, (struct seccomp_data){ .nr = X32 + nr, .arch = target.architecture });
			for (size_t i = 0; i < COUNT(foreign); i++)
				ask_both(name, &(struct seccomp_data){ .nr = nr, .arch = foreign[i] });
		}
		for (size_t i = 0; i < COUNT(special); i++)
			ask_about(name, (struct seccomp_data){ .nr = special[i], .arch = target.architecture });
		check_reached(name, &built);
		check_reached(name, &compiled);
	}
}

struct decision {
	const char *call;
	uint64_t args[ARGUMENTS];
	uint32_t decision;
};

/* In case that both are wrong in the same way. */
static void decides(enum seccomp_filter which, const struct decision *cases, size_t count)
{
	const struct filter_target target = prepare(which);

	for (size_t i = 0; i < count; i++) {
		struct seccomp_data call = { .nr = seccomp_syscall_resolve_name(cases[i].call),
					     .arch = target.architecture };

		memcpy(call.args, cases[i].args, sizeof(call.args));
		value_count = 0;
		CHECK(call.nr >= 0 && run(&built, &call) == cases[i].decision, "%s, row %zu", cases[i].call, i);
		call.arch = ~target.architecture;
		CHECK(run(&built, &call) == SECCOMP_RET_KILL_THREAD, "%s of another processor", cases[i].call);
	}
}

static void relaying_allows_what_it_should(void **state)
{
	static const struct decision cases[] = {
		{ "read", { 0 }, SECCOMP_RET_ALLOW },
		{ "recvfrom", { 0 }, SECCOMP_RET_ALLOW },
		{ "openat", { 0 }, SECCOMP_RET_ERRNO | EPERM },
		{ "socket", { 0 }, SECCOMP_RET_ERRNO | EPERM },
		{ "sendmsg", { 0 }, SECCOMP_RET_ERRNO | EPERM },
		{ "execve", { 0 }, SECCOMP_RET_KILL_PROCESS },
		{ "mprotect", { 0, 0, 3 }, SECCOMP_RET_ALLOW },
		{ "mprotect", { 0, 0, 7 }, SECCOMP_RET_ERRNO | EPERM },
		{ "tgkill", { PID, PID, 6 }, SECCOMP_RET_ALLOW },
		{ "tgkill", { PID + 1, PID, 6 }, SECCOMP_RET_ERRNO | EPERM },
		{ "tgkill", { PID | UINT64_C(1) << 32, PID, 6 }, SECCOMP_RET_ERRNO | EPERM },
		{ "tgkill", { 0, PID, 6 }, SECCOMP_RET_ERRNO | EPERM },
	};

	(void)state;
	decides(SECCOMP_RELAYING, cases, COUNT(cases));
}

static void opening_allows_what_it_should(void **state)
{
	static const struct decision cases[] = {
		{ "read", { 0 }, SECCOMP_RET_ALLOW },
		{ "openat", { 0, 0, O_RDONLY, 06777 }, SECCOMP_RET_ALLOW },
		{ "openat", { 0, 0, O_CREAT | O_WRONLY, 0600 }, SECCOMP_RET_ALLOW },
		{ "openat", { 0, 0, O_CREAT | O_WRONLY, S_ISUID | 0700 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "openat", { 0, 0, O_TMPFILE | O_RDWR, S_ISGID | 0700 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "clone3", { 0 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "execve", { 0 }, SECCOMP_RET_KILL_PROCESS },
		{ "listen", { 0 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "kill", { PID, 9 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "tgkill", { PID, PID, 6 }, SECCOMP_RET_ALLOW },
		{ "tgkill", { PID + 1, PID, 6 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "mprotect", { 0, 0, PROT_READ | PROT_WRITE }, SECCOMP_RET_ALLOW },
		{ "mprotect", { 0, 0, PROT_READ | PROT_EXEC }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "mmap", { 0, 0, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, 5 }, SECCOMP_RET_ALLOW },
		{ "mmap", { 0, 0, PROT_READ | PROT_EXEC, MAP_SHARED, 5 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "mmap", { 0, 0, PROT_READ | PROT_WRITE, MAP_SHARED, 5 }, SECCOMP_RET_ALLOW },
		{ "mmap", { 0, 0, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, 5 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "fcntl", { 0, F_SETLK }, SECCOMP_RET_ALLOW },
		{ "fcntl", { 0, F_OFD_SETLK }, SECCOMP_RET_ALLOW },
		{ "fcntl", { 0, F_SETFL, O_NONBLOCK }, SECCOMP_RET_ALLOW },
		{ "fcntl", { 0, F_SETOWN, PID }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "fcntl", { 0, F_SETOWN_EX }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "fcntl", { 0, F_SETSIG, 9 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "prlimit64", { 0 }, SECCOMP_RET_ALLOW },
		{ "prlimit64", { PID }, SECCOMP_RET_ERRNO | ENOSYS },
#ifndef SYS_socketcall
		{ "socket", { AF_UNIX }, SECCOMP_RET_ALLOW },
		{ "socket", { AF_INET, SOCK_STREAM, IPPROTO_TCP }, SECCOMP_RET_ALLOW },
		{ "socket", { AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 }, SECCOMP_RET_ALLOW },
		{ "socket", { AF_INET, SOCK_DGRAM, IPPROTO_ICMP }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "socket", { AF_INET, SOCK_SEQPACKET, 0 }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "socket", { AF_INET6, SOCK_STREAM, IPPROTO_SCTP }, SECCOMP_RET_ERRNO | ENOSYS },
		{ "socket", { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, SECCOMP_RET_ALLOW },
		{ "socket", { AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER }, SECCOMP_RET_ERRNO | ENOSYS },
#endif
	};

	(void)state;
	decides(SECCOMP_OPENING, cases, COUNT(cases));
}

#ifndef SYS_socketcall
/* Except for the four that are allowed. */
static void opening_knows_no_other_families(void **state)
{
	const struct filter_target target = prepare(SECCOMP_OPENING);
	struct seccomp_data call = { .nr = SYS_socket, .arch = target.architecture };

	(void)state;
	for (uint64_t family = 1; family < 64; family++) {
		const bool known = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;

		call.args[0] = family;
		call.args[1] = family == AF_NETLINK ? SOCK_RAW : SOCK_DGRAM;
		value_count = 0;
		CHECK(run(&built, &call) == (known ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		      "family %llu", (unsigned long long)family);
	}
}
#endif

/* Asks about the call with any two arguments of those that could make a difference. */
static void opening_allows_no_less(struct seccomp_data call)
{
	uint64_t interesting[2 + MAX_VALUES * 5] = { 0 };
	size_t count = 1, before;

	value_count = 0;
	do {
		before = count;
		for (size_t i = 0; i < ARGUMENTS * ARGUMENTS * count * count; i++) {
			memset(call.args, 0, sizeof(call.args));
			call.args[i % ARGUMENTS] = interesting[i / ARGUMENTS / ARGUMENTS % count];
			call.args[i / ARGUMENTS % ARGUMENTS] = interesting[i / ARGUMENTS / ARGUMENTS / count];
			if (run(&compiled, &call) == SECCOMP_RET_ALLOW)
				CHECK(run(&built, &call) == SECCOMP_RET_ALLOW, "call %d with %#llx %#llx %#llx %#llx",
				      call.nr, call.args[0], call.args[1], call.args[2], call.args[3]);
		}
		count = list_interesting(interesting);
	} while (count > before && value_count > 0);
}

/* A session has both filters then, and the kernel asks both. */
static void opening_allows_what_relaying_allows(void **state)
{
	const struct filter_target target = prepare(SECCOMP_OPENING);

	(void)state;
	compiled.length = seccomp_filter_get(SECCOMP_RELAYING, PID, compiled.code);
	for (int nr = 0; nr < CALLS; nr++)
		opening_allows_no_less((struct seccomp_data){ .nr = nr, .arch = target.architecture });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_of_the_build_decide_as_libseccomp_does),
		cmocka_unit_test(relaying_allows_what_it_should),
		cmocka_unit_test(opening_allows_what_it_should),
#ifndef SYS_socketcall
		cmocka_unit_test(opening_knows_no_other_families),
#endif
		cmocka_unit_test(opening_allows_what_relaying_allows),
	};

	return RUN(tests);
}
