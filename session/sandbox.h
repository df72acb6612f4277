/* SPDX-License-Identifier: Apache-2.0
 *
 * What the process gives up once it is connected. From then on it can read, write and poll the two
 * connections that it has, write its log, and end; whoever spawned it, as whichever user.
 */
#ifndef PROXXY_SANDBOX_H
#define PROXXY_SANDBOX_H

/* Enters the sandbox, for good: seccomp (no opening, no sockets, no connecting, no processes, no executable memory),
 * Landlock where the kernel has it, and resource limits. Needs no privileges beyond no_new_privs, which is to be set
 * before. What the log needs must be open already. Does nothing in a build with sanitizers, which open files and
 * start a thread to report.
 * Returns 0, or ERR_SYSTEM with errno: a kernel without seccomp. */
int sandbox_enter(void);

#endif
