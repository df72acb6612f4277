/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells how long proxxy has accepted connections, which one session's process cannot know itself.
 */
#ifndef PROXXY_UPTIME_H
#define PROXXY_UPTIME_H

#include <stdint.h>

/* Returns whole seconds since proxxy.socket was activated or, if the parent is not systemd, since
 * the parent (xinetd, systemd-socket-activate) started; 0 if that is not known. */
int64_t uptime_seconds(void);

#endif
