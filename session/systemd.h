/* SPDX-License-Identifier: Apache-2.0
 *
 * Speaks systemd's two datagram protocols: the journal's and the service manager's. libsystemd does
 * the same, but it would load seven libraries into a process that holds keys and reads what
 * strangers send, and would cost each session 200 KiB and a millisecond.
 */
#ifndef PROXXY_SYSTEMD_H
#define PROXXY_SYSTEMD_H

#include <stddef.h>

#define SYSTEMD_JOURNAL "/run/systemd/journal/socket"

enum {
	SYSTEMD_RECORD_MAX = 16 * 1024, /* bytes of a record as it is sent; log.c's are shorter */
	SYSTEMD_STATUS_MAX = 3072,      /* bytes of a status as it is sent; systemd reads 4096 */
};

/* Connects sink.h to the journal, so that records can be sent later from inside the second sandbox.
 * Returns 0 or ERR_SYSTEM. */
int systemd_open_journal(void);

/* Sends a record of n fields, each "NAME=value" (https://systemd.io/JOURNAL_NATIVE_PROTOCOL),
 * through sink.h. A value may contain any byte but NUL. */
void systemd_record(const char *const fields[], size_t n);

/* Sets the line that systemctl status shows (sd_notify(3)), if the service manager asked for it.
 * Cuts it off at SYSTEMD_STATUS_MAX.
 * Does not wait: if the manager does not listen now, the line is dropped. */
void systemd_status(const char *text);

#endif
