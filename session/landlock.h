/* SPDX-License-Identifier: Apache-2.0
 *
 * Restricts which files a session can open, with the kernel's Landlock. sandbox.c calls it. The
 * system call filters restrict calls; they cannot see paths.
 */
#ifndef PROXXY_LANDLOCK_H
#define PROXXY_LANDLOCK_H

#include <stdbool.h>

#include "lib/config.h"

/* Enters the ruleset of the phases before the connection to Proxmox, for this thread and those that
 * it starts. The session can then:
 * - read /etc, the libraries, /run, /proc (without listing it) and what the name service modules of
 *   Debian's packages read;
 * - read the files that config, a cluster file or the environment (CREDENTIALS_DIRECTORY) name,
 *   wherever they are;
 * - write in the state directory and in that of the counters;
 * - not bind a TCP port (Linux 6.7), and not signal a process outside of it or connect to its
 *   abstract UNIX socket (6.12), except if NOTIFY_SOCKET is one.
 * It can still connect to UNIX sockets that have a path, and see a file's attributes. Needs
 * no_new_privs, and no privilege.
 * Does nothing if the kernel has no Landlock, or if a call of Landlock fails, because a filter of
 * whoever started the session does not know it. Returns false in the second case. */
bool landlock_enter_opening(const struct config *config);

/* Enters a ruleset without rules: no file, no TCP connect or bind, and so on. The filter of that
 * phase forbids the same; this is a second barrier in case it has a mistake. */
void landlock_enter_relaying(void);

#endif
