/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters of proxxy: GET /api/status as JSON, and GET /metrics for Prometheus.
 */
#ifndef PROXXY_STATUS_METRICS_H
#define PROXXY_STATUS_METRICS_H

#include <systemd/sd-bus.h>

#include "status/answer.h"

/* Returns the counters as JSON, or a 503 if systemd cannot be queried. */
struct answer metrics_answer_status(sd_bus *bus);

/* Returns the counters in Prometheus' text format, version 0.0.4, or a 503 if systemd cannot be queried. */
struct answer metrics_answer(sd_bus *bus);

#endif
