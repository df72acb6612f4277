/* SPDX-License-Identifier: Apache-2.0
 *
 * How long proxxy has been accepting connections, for a process that has only just begun.
 */
#ifndef PROXXY_UPTIME_H
#define PROXXY_UPTIME_H

#include <stdint.h>

/* Whole seconds since proxxy.socket was activated, or, without systemd as the parent, since the
 * parent (xinetd, systemd-socket-activate) started. 0 when that cannot be told. */
int64_t uptime_seconds(void);

#endif
