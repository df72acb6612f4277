/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of Proxmox's API that proxxy uses for a link, for bench/upstream: answers of a realistic
 * size, always the same. Nothing is checked, neither token nor ticket.
 */
#ifndef PROXXY_BENCH_PVE_H
#define PROXXY_BENCH_PVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the size of the request at the beginning of in, with its body, or 0 if it is not
 * complete. */
size_t pve_request_size(const uint8_t *in, size_t len);

/* Returns the answer to GET version, GET cluster/resources or POST vncproxy, in static storage,
 * with *ret_size bytes. Returns NULL for any other request, which must then be an upgrade. */
const char *pve_answer(const uint8_t *request, size_t size, size_t *ret_size);

/* True if the upgrade is to the console on VNC_PORT. */
bool pve_is_vnc(const uint8_t *request, size_t size);

#endif
