/* SPDX-License-Identifier: Apache-2.0
 *
 * Confines the process once it is connected, whoever started it and as whichever user. Afterwards
 * it can only read, write and poll its connections, write its log, and end.
 */
#ifndef PROXXY_SANDBOX_H
#define PROXXY_SANDBOX_H

/* Enters the sandbox, for the rest of the process: seccomp (no files, sockets, connections,
 * processes or executable memory), Landlock if the kernel has it, and resource limits. The caller
 * must have set no_new_privs, and opened what the log needs. Needs no other privilege. Does nothing
 * in a build with sanitizers, which open files and start a thread to report.
 * Returns 0, or ERR_SYSTEM with errno if the kernel has no seccomp. */
int sandbox_enter(void);

#endif
