/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters of proxxy: GET /api/status as JSON, and GET /metrics for Prometheus. They are
 * systemd's, of connections, and those that sessions add to (lib/counters_file.h).
 */
#ifndef PROXXY_STATUS_METRICS_H
#define PROXXY_STATUS_METRICS_H

#include <systemd/sd-bus.h>

#include "status/answer.h"

/* Returns systemd's counters as JSON, or a 503 if it cannot be queried. */
struct answer metrics_answer_status(sd_bus *bus);

/* Returns all metrics in Prometheus' text format, version 0.0.4, or a 503 if systemd cannot be
 * queried. bus is NULL if systemd does not run proxxy: then the sessions are counted by their
 * processes, the counters are read in PROXXY_STATE_DIRECTORY of the environment, and the metrics of
 * the socket are left out. */
struct answer metrics_answer(sd_bus *bus);

#endif
