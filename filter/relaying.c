/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter of the second sandbox, which a session enters when both connections are open: what the
 * TLS handshake, relaying, logging and ending need, including OpenSSL and malloc().
 */
#include "filter/rules.h"
#include "filter/values.h"

#include <stddef.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* clang-format off */

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

/* Calls that kill the process, besides those of filter_add_fatal(): a library may try them before,
 * not from here on. All other calls that are not allowed fail with EPERM. */
static const int fatal[] = {
	SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(pidfd_open),
	SCMP_SYS(io_uring_setup), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
};

/* clang-format on */

static int add_socket_calls(scmp_filter_ctx filter, const struct filter_target *target)
{
	int rc = 0;

	/* i386's C library makes all socket calls through socketcall(), with the arguments in
	 * memory, where a filter cannot see them: libseccomp would check registers that the
	 * caller controls. Therefore only send(), recv() and shutdown() are allowed, which name no
	 * address. As a result the closing timeout is not set, and silence.c cannot detect
	 * vanished peers. */
	if (filter_target_has(target, "socketcall"))
		return 0;
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
	return rc;
}

/* Allows calls only with certain arguments. Returns false if a rule cannot be added. */
static bool add_conditional(scmp_filter_ctx filter, const struct filter_target *target)
{
	static const unsigned long requests[] = { FIONREAD, SIOCOUTQ };
	const int map = filter_map_call(target);
	int rc = 0;

	/* Only anonymous memory that cannot be executed. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, map, 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			       SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	for (size_t i = 0; i < COUNT(requests); i++)
		rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	/* abort() signals its own process. */
	rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, target->pid, 0));
	rc |= add_socket_calls(filter, target);
	return rc == 0;
}

bool filter_add_relaying(scmp_filter_ctx filter, const struct filter_target *target)
{
	return filter_add_calls(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed)) && filter_add_fatal(filter) &&
	       filter_add_calls(filter, SCMP_ACT_KILL_PROCESS, fatal, COUNT(fatal)) && add_conditional(filter, target);
}
