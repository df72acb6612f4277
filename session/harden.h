/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepares the process of a session, whatever state its parent left it in.
 */
#ifndef PROXXY_HARDEN_H
#define PROXXY_HARDEN_H

/* Disables core dumps, debuggers, new privileges and SIGPIPE, and closes descriptors that the
 * parent left open. Opens fds 0 to 2 if they are closed, so that no socket of ours becomes standard
 * error. Returns 0 or ERR_SYSTEM. */
int harden(void);

#endif
