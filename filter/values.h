/* SPDX-License-Identifier: Apache-2.0
 *
 * The constants of the headers that the rules of the filters compare with. make_filters knows the
 * values of the machine that builds. It writes them down, so that the compiler of the target stops
 * if its headers have others.
 */
#ifndef PROXXY_FILTER_VALUES_H
#define PROXXY_FILTER_VALUES_H

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Calls value(NAME) for each. */
#define FILTER_VALUES(value) \
	value(EPERM) value(FIONREAD) value(IPPROTO_TCP) value(MAP_ANONYMOUS) value(MSG_FASTOPEN) value(PROT_EXEC) \
		value(SIOCOUTQ) value(TCP_INFO) value(TCP_USER_TIMEOUT)

#endif
