/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds the system call filter, the Landlock ruleset and the resource limits of a session.
 * proxxy-conn.c enters the sandbox when both connections are open.
 */
#include "session/sandbox.h"

#include "lib/error.h"

#ifdef PROXXY_SANITIZE
int sandbox_enter(void)
{
	return OK;
}
#else

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- seccomp ------------------------------------------------------------------------------ */

/* clang-format off */

/* All calls that the TLS handshake, relaying, logging and ending need, including those of OpenSSL
 * and malloc(). */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(recvfrom), /* the connections; sendto has conditions */
	SCMP_SYS(recv), SCMP_SYS(send), /* calls of 32-bit processors, without an address */
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(ppoll), SCMP_SYS(ppoll_time64), SCMP_SYS(poll),
	SCMP_SYS(close), SCMP_SYS(shutdown),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), /* memory */
	SCMP_SYS(futex), SCMP_SYS(futex_time64),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigreturn),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Calls that only an attacker's code would make: they kill the process. All other calls that are
 * not allowed fail with EPERM. */
static const int fatal[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(pidfd_open),
	SCMP_SYS(bpf), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(perf_event_open), SCMP_SYS(keyctl),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(reboot), SCMP_SYS(setuid), SCMP_SYS(setresuid), SCMP_SYS(setgid),
	SCMP_SYS(capset), SCMP_SYS(setuid32), SCMP_SYS(setresuid32), SCMP_SYS(setgid32),
};

/* clang-format on */

/* On 32-bit processors a filter can check mmap2(), but not the older mmap(), whose arguments are in
 * memory. */
#ifdef SYS_mmap2
#define SCMP_MMAP SCMP_SYS(mmap2)
#else
#define SCMP_MMAP SCMP_SYS(mmap)
#endif

#ifdef SYS_socketcall
/* i386's C library makes all socket calls through socketcall(), with the arguments in memory, where
 * a filter cannot see them: libseccomp would check registers that the caller controls. Therefore
 * only send(), recv() and shutdown() are allowed, which name no address. As a result the closing
 * timeout is not set, and silence.c cannot detect vanished peers. */
static int add_socket_calls(scmp_filter_ctx filter)
{
	(void)filter;
	return 0;
}
#else
static int add_socket_calls(scmp_filter_ctx filter)
{
	int rc = 0;

	/* sendto() only to the socket's peer: without an address, and without TCP Fast Open, which
	 * could open a new connection on a broken socket. sendmsg() is not allowed: it can name an
	 * address and pass descriptors, in memory that a filter cannot see. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
			       SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0), SCMP_A4(SCMP_CMP_EQ, 0, 0));
	/* linger.c sets the time-out of a closed connection. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP, 0),
			       SCMP_A2(SCMP_CMP_EQ, TCP_USER_TIMEOUT, 0));
	/* silence.c asks whether a peer still acknowledges. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP, 0),
			       SCMP_A2(SCMP_CMP_EQ, TCP_INFO, 0));
	/* Every frame to the client uses sendto(), so the filter checks it first. */
	rc |= seccomp_syscall_priority(filter, SCMP_SYS(sendto), UINT8_MAX);
	return rc;
}
#endif

/* Allows calls only with certain arguments. Returns false if a rule cannot be added. */
static bool add_conditional(scmp_filter_ctx filter)
{
	static const unsigned long requests[] = { FIONREAD, SIOCOUTQ };
	int rc = 0;

	/* Only anonymous memory that cannot be executed. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_MMAP, 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			       SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	for (size_t i = 0; i < COUNT(requests); i++)
		rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	/* abort() signals its own process. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			       SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	rc |= add_socket_calls(filter);
	return rc == 0;
}

/* Loads the system call filter. Returns false with errno if it cannot. */
static bool enter_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool done = filter != NULL;
	int rc = 0;

	/* For all threads: that of an abandoned name lookup may still run. no_new_privs is set
	 * already. */
	done = done && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
	       seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) == 0;
	for (size_t i = 0; i < COUNT(allowed) && done; i++)
		done = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
	for (size_t i = 0; i < COUNT(fatal) && done; i++)
		done = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, fatal[i], 0) == 0;
	if (done && add_conditional(filter))
		rc = seccomp_load(filter);
	else
		rc = -EINVAL;
	seccomp_release(filter);
	errno = -rc;
	return rc == 0;
}

/* --- Landlock ----------------------------------------------------------------------------- */

/* struct landlock_ruleset_attr of Linux 6.12; older kernels know only the first members. */
struct landlock_ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

/* Enters a ruleset without rules. It forbids all file access, TCP connect and bind (Linux 6.7), and
 * signals and abstract Unix sockets outside this process (6.12). The system call filter forbids the
 * same; this is a second barrier in case the filter has a mistake. */
static void enter_landlock(void)
{
	static const struct landlock_ruleset by_version[] = {
		{ 0x1FFF, 0, 0 }, { 0x3FFF, 0, 0 }, { 0x7FFF, 0, 0 },
		{ 0x7FFF, 3, 0 }, { 0xFFFF, 3, 0 }, { 0xFFFF, 3, 3 },
	};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */), fd;
	struct landlock_ruleset rules;
	size_t size = sizeof(rules);

	if (version < 1)
		return; /* the kernel has no Landlock, or it is disabled */
	if (version > (long)COUNT(by_version))
		version = (long)COUNT(by_version);
	rules = by_version[version - 1];
	if (version < 4)
		size = offsetof(struct landlock_ruleset, handled_access_net);
	else if (version < 6)
		size = offsetof(struct landlock_ruleset, scoped);
	fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0)
		return;
	syscall(SYS_landlock_restrict_self, fd, 0);
	close((int)fd);
}

/* --- limits ------------------------------------------------------------------------------- */

static void set_limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	setrlimit(resource, &limit);
}

/* Sets resource limits; ignores errors, as the filter forbids the same except writing to files. The
 * only files that are open for writing are those of the session's slots (limits.h), and the log, if
 * it is a file: then whoever fills the disk can do it there. */
static void enter_limits(void)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t limit;
	} table[] = {
		/* fds 0 to 2 stay open, so that no new descriptor can be opened. Not 0: poll(2)
		 * fails if it gets more descriptors than this limit. */
		{ RLIMIT_NOFILE, 3 },   { RLIMIT_NPROC, 0 },  { RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 }, { RLIMIT_RTPRIO, 0 }, { RLIMIT_SIGPENDING, 0 },
	};

	struct stat st;

	for (size_t i = 0; i < COUNT(table); i++)
		set_limit(table[i].resource, table[i].limit);
	if (fstat(STDERR_FILENO, &st) == 0 && !S_ISREG(st.st_mode))
		set_limit(RLIMIT_FSIZE, 0);
}

int sandbox_enter(void)
{
	enter_landlock();
	enter_limits();
	return enter_seccomp() ? OK : ERR_SYSTEM;
}
#endif
