/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of proxxy-status that may end a session: "proxxy-status --end", which proxxy-end.socket
 * starts for each connection, as the user of the sessions. It takes the name of a unit, and nothing
 * else; it never sees an HTTP request.
 */
#ifndef PROXXY_STATUS_ENDER_H
#define PROXXY_STATUS_ENDER_H

/* The socket. Only the user proxxy-status and root can connect to it. A request is the name of a
 * unit and a line feed; the answer is one of the lines below. */
#define ENDER_SOCKET "/run/proxxy-end.sock"
#define ENDER_DONE "done\n"     /* SIGTERM was sent */
#define ENDER_GONE "gone\n"     /* no session has this unit */
#define ENDER_FAILED "failed\n" /* it could not be done; the journal says why */

enum { ENDER_ANSWER_MAX = 16 }; /* bytes of an answer, with the NUL */

/* Serves the connection at fd 0. Sends SIGTERM to the main process of the unit, if the unit is a
 * session that runs, and answers. If the process still runs 8 s later, sends SIGKILL, as systemctl
 * stop does. Returns an exit status of sysexits.h. */
int ender_serve(void);

#endif
