/* SPDX-License-Identifier: Apache-2.0
 *
 * The health check of a container: proxxy-listen --health.
 */
#ifndef PROXXY_LISTEN_HEALTH_H
#define PROXXY_LISTEN_HEALTH_H

#include "listen/address.h"

/* Asks the proxxy that listens on address, which was written as name, for /api/status, and prints
 * what is wrong to standard error. Returns 0 if it answers 200 within HEALTH_TIMEOUT_S, else 1: the
 * statuses of Docker's HEALTHCHECK. */
int health_check(const struct address *address, const char *name);

enum {
	HEALTH_TIMEOUT_S = 5, /* for each step: connecting, sending, each read */
};

#endif
