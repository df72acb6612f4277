/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter of the first sandbox, which a session enters before it reads from the client: what
 * reading the request, opening the payload, limits, the shared store, DNS and connecting need. DNS
 * runs the machine's name service modules, so the list has what they and the C library may use.
 * Landlock restricts which files are opened (session/landlock.c).
 *
 * It allows no less than relaying.c, because the kernel asks both filters. Calls that no rule names
 * fail with ENOSYS, so that libraries use what they use on an older kernel.
 */
#include "filter/rules.h"
#include "filter/values.h"

#include <stddef.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* clang-format off */

static const int allowed[] = {
	/* descriptors and files; those that make files have conditions */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2),
	SCMP_SYS(flock), SCMP_SYS(fadvise64), SCMP_SYS(fadvise64_64), SCMP_SYS(fstat), SCMP_SYS(fstat64),
	SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(stat), SCMP_SYS(stat64), SCMP_SYS(lstat),
	SCMP_SYS(lstat64), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(statfs64), SCMP_SYS(fstatfs),
	SCMP_SYS(fstatfs64), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(link),
	SCMP_SYS(linkat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(utimensat), SCMP_SYS(utimensat_time64),
	/* waiting */
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(ppoll_time64), SCMP_SYS(select), SCMP_SYS(_newselect),
	SCMP_SYS(pselect6), SCMP_SYS(pselect6_time64), SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_nanosleep_time64),
	/* connections, which socket() limits to some families; nobody listens */
	SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(send), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg), SCMP_SYS(recv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
	SCMP_SYS(recvmmsg_time64),
	/* memory; mapping has conditions */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(msync),
	/* the lookup's thread; clone() has conditions */
	SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier),
	SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler), SCMP_SYS(getcpu), SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* signals */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
	/* clocks, and what the process and the machine are */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64), SCMP_SYS(clock_getres), SCMP_SYS(clock_getres_time64),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrandom), SCMP_SYS(uname),
	SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getpgrp),
	SCMP_SYS(getpgid), SCMP_SYS(getsid), SCMP_SYS(getuid), SCMP_SYS(getuid32), SCMP_SYS(geteuid),
	SCMP_SYS(geteuid32), SCMP_SYS(getgid), SCMP_SYS(getgid32), SCMP_SYS(getegid), SCMP_SYS(getegid32),
	SCMP_SYS(getresuid), SCMP_SYS(getresuid32), SCMP_SYS(getresgid), SCMP_SYS(getresgid32),
	SCMP_SYS(getgroups), SCMP_SYS(getgroups32), SCMP_SYS(capget),
	/* the second sandbox; prlimit64() has conditions */
	SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_restrict_self), SCMP_SYS(getrlimit),
	SCMP_SYS(ugetrlimit), SCMP_SYS(setrlimit),
};

/* Of fcntl(). */
static const scmp_datum_t commands[] = {
	F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL,
	F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW,
	5, 6, 7, /* F_GETLK, F_SETLK, F_SETLKW */
	12, 13, 14, /* the same of 32-bit processors, with 64-bit positions */
};

/* clang-format on */

static int allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp condition)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, condition);
}

/* Files can be made, but not with a set-user-ID or set-group-ID bit. */
static int add_files(scmp_filter_ctx filter)
{
	const scmp_datum_t bits = S_ISUID | S_ISGID;
	int rc = 0;

	/* The mode counts only if a file is made. */
	rc |= allow_if(filter, SCMP_SYS(open), SCMP_A1(SCMP_CMP_MASKED_EQ, O_CREAT | O_TMPFILE_BIT, 0));
	rc |= allow_if(filter, SCMP_SYS(open), SCMP_A2(SCMP_CMP_MASKED_EQ, bits, 0));
	rc |= allow_if(filter, SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT | O_TMPFILE_BIT, 0));
	rc |= allow_if(filter, SCMP_SYS(openat), SCMP_A3(SCMP_CMP_MASKED_EQ, bits, 0));
	rc |= allow_if(filter, SCMP_SYS(mkdir), SCMP_A1(SCMP_CMP_MASKED_EQ, bits, 0));
	rc |= allow_if(filter, SCMP_SYS(mkdirat), SCMP_A2(SCMP_CMP_MASKED_EQ, bits, 0));
	rc |= allow_if(filter, SCMP_SYS(fchmod), SCMP_A1(SCMP_CMP_MASKED_EQ, bits, 0));
	return rc;
}

/* Duplicates descriptors, reads and sets their flags, and locks files. The others could make the
 * kernel send a signal to another process (F_SETOWN, F_SETSIG). */
static int add_fcntl(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; i < COUNT(commands); i++) {
		rc |= allow_if(filter, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, commands[i], 0));
		rc |= allow_if(filter, SCMP_SYS(fcntl64), SCMP_A1(SCMP_CMP_EQ, commands[i], 0));
	}
	return rc;
}

/* A mapping can be executable or writable, not both; what is mapped does not become executable, and
 * an executable mapping does not show what is written to its file later (a name service module's is
 * private). */
static int add_memory(scmp_filter_ctx filter, const struct filter_target *target)
{
	/* As in relaying.c: the older mmap() of 32-bit processors has its arguments in memory. */
	const int map = filter_target_has(target, "mmap2") ? SCMP_SYS(mmap2) : SCMP_SYS(mmap);
	int rc = 0;

	rc |= allow_if(filter, map, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, map, 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0),
			       SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0));
	rc |= allow_if(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

/* Threads can be made, but no processes and namespaces. clone3() has its arguments in memory: it
 * fails, and the C library uses clone(). Signals go to this process only; limits are its own. */
static int add_process(scmp_filter_ctx filter, const struct filter_target *target)
{
	static const scmp_datum_t options[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_CAPBSET_READ };
	const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
					CLONE_NEWPID | CLONE_NEWNET;
	int rc = 0;

	rc |= allow_if(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | namespaces, CLONE_THREAD));
	rc |= allow_if(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, target->pid, 0));
	rc |= allow_if(filter, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0, 0));
	rc |= allow_if(filter, SCMP_SYS(seccomp), SCMP_A0(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER, 0));
	for (size_t i = 0; i < COUNT(options); i++)
		rc |= allow_if(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, options[i], 0));
	return rc;
}

/* getaddrinfo() uses netlink to find this machine's addresses, and AF_UNIX to ask nscd, systemd and
 * others. Of IP, only TCP and UDP. */
static int add_sockets(scmp_filter_ctx filter, const struct filter_target *target)
{
	/* All families but AF_UNIX (1), AF_INET (2), AF_INET6 (10) and AF_NETLINK (16). */
	const struct scmp_arg_cmp others[] = {
		SCMP_A0(SCMP_CMP_EQ, 3, 0),
		SCMP_A0(SCMP_CMP_MASKED_EQ, ~3ULL, 4), /* to 7 */
		SCMP_A0(SCMP_CMP_MASKED_EQ, ~1ULL, 8),
		SCMP_A0(SCMP_CMP_EQ, 11, 0),
		SCMP_A0(SCMP_CMP_MASKED_EQ, ~3ULL, 12),
		SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0),
	};
	static const scmp_datum_t families[] = { AF_INET, AF_INET6 };
	/* The kernel takes the type from the lowest four bits; SOCK_CLOEXEC is above them. */
	static const struct {
		scmp_datum_t type, protocol;
	} kinds[] = {
		{ SOCK_STREAM, 0 },
		{ SOCK_STREAM, IPPROTO_TCP },
		{ SOCK_DGRAM, 0 },
		{ SOCK_DGRAM, IPPROTO_UDP },
	};
	int rc = 0;

	/* As in relaying.c: i386's socketcall() has its arguments in memory. */
	if (filter_target_has(target, "socketcall"))
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketcall), 0) |
		       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 0);
	rc |= allow_if(filter, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	for (size_t i = 0; i < COUNT(kinds); i++)
		for (size_t family = 0; family < COUNT(families); family++)
			rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
					       SCMP_A0(SCMP_CMP_EQ, families[family], 0),
					       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xF, kinds[i].type),
					       SCMP_A2(SCMP_CMP_EQ, kinds[i].protocol, 0));
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
			       SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE, 0));
	rc |= allow_if(filter, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	/* A kernel without a family answers the same; libraries expect it. */
	for (size_t i = 0; i < COUNT(others); i++)
		rc |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, others[i]);
	return rc;
}

/* Asks about sockets, terminals and the machine's interfaces, and sets a socket to not block. */
static int add_ioctl(scmp_filter_ctx filter)
{
	static const scmp_datum_t requests[] = {
		FIONREAD, SIOCOUTQ, FIONBIO, TCGETS, SIOCGIFNAME, SIOCGIFINDEX, SIOCGIFCONF, SIOCGIFFLAGS,
	};
	int rc = 0;

	for (size_t i = 0; i < COUNT(requests); i++)
		rc |= allow_if(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	return rc;
}

bool filter_add_opening(scmp_filter_ctx filter, const struct filter_target *target)
{
	return filter_add_calls(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed)) && filter_add_fatal(filter) &&
	       add_files(filter) == 0 && add_fcntl(filter) == 0 && add_memory(filter, target) == 0 &&
	       add_process(filter, target) == 0 && add_sockets(filter, target) == 0 && add_ioctl(filter) == 0;
}
