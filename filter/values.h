/* SPDX-License-Identifier: Apache-2.0
 *
 * The constants of the headers that the rules of the filters compare with. make_filters knows the
 * values of the machine that builds. It writes them down, so that the compiler of the target stops
 * if its headers have others.
 */
#ifndef PROXXY_FILTER_VALUES_H
#define PROXXY_FILTER_VALUES_H

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef PR_SET_VMA /* Linux 5.17 */
#define PR_SET_VMA 0x53564d41
#endif

/* O_DIRECTORY, which O_TMPFILE contains, is not the same on all processors. */
#define O_TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* Calls value(NAME) for each. */
/* clang-format off */
#define FILTER_VALUES(value) \
	value(AF_INET) value(AF_INET6) value(AF_NETLINK) value(AF_UNIX) value(CLONE_NEWCGROUP) \
	value(CLONE_NEWIPC) value(CLONE_NEWNET) value(CLONE_NEWNS) value(CLONE_NEWPID) \
	value(CLONE_NEWUSER) value(CLONE_NEWUTS) value(CLONE_THREAD) value(EAFNOSUPPORT) \
	value(ENOSYS) value(EPERM) value(FIONBIO) value(FIONREAD) value(F_DUPFD) \
	value(F_DUPFD_CLOEXEC) value(F_GETFD) value(F_GETFL) value(F_OFD_GETLK) \
	value(F_OFD_SETLK) value(F_OFD_SETLKW) value(F_SETFD) value(F_SETFL) value(IPPROTO_TCP) \
	value(IPPROTO_UDP) value(MAP_ANONYMOUS) value(MAP_SHARED) value(MSG_FASTOPEN) \
	value(NETLINK_ROUTE) value(O_CREAT) value(O_TMPFILE_BIT) value(PROT_EXEC) \
	value(PROT_WRITE) value(PR_CAPBSET_READ) value(PR_GET_NAME) value(PR_SET_NAME) \
	value(PR_SET_VMA) value(SECCOMP_SET_MODE_FILTER) value(SIOCGIFCONF) value(SIOCGIFFLAGS) \
	value(SIOCGIFINDEX) value(SIOCGIFNAME) value(SIOCOUTQ) value(SOCK_DGRAM) \
	value(SOCK_STREAM) value(S_ISGID) value(S_ISUID) value(TCGETS) value(TCP_INFO) \
	value(TCP_USER_TIMEOUT)
/* clang-format on */

#endif
