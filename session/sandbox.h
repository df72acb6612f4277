/* SPDX-License-Identifier: Apache-2.0
 *
 * Confines the process, whoever started it and as whichever user, in two steps. From the first on,
 * it can do what opening a session takes. From the second on, it can only read, write and poll its
 * connections, write its log, and end.
 */
#ifndef PROXXY_SANDBOX_H
#define PROXXY_SANDBOX_H

#include "lib/config.h"

/* Both functions confine the process for the rest of its time, with system call filters
 * (filter/opening.c, filter/relaying.c) and, if the kernel has it, Landlock (landlock.h). The
 * caller must have set no_new_privs. They need no other privilege, and do nothing in a build with
 * sanitizers, which open files and start a thread to report.
 * Both return 0, or ERR_SYSTEM with errno if the kernel has no seccomp. */

/* Enters the first sandbox: few directories and files to read, which config names in part; writes
 * only in the state directory and to the counters; no programs, processes, namespaces, listening
 * sockets, or memory that is both writable and executable; sockets only for TCP, UDP, UNIX and
 * routing netlink. Keys and settings must have been read, and the log must be open: it gets a
 * warning if the kernel has Landlock and whoever started the session refuses it. */
int sandbox_enter_first(const struct config *config);

/* Enters the second sandbox: no files, sockets, connections, processes or executable memory, and
 * resource limits. */
int sandbox_enter(void);

#endif
