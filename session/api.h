/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests a console from Proxmox's API, on the connection that the console uses afterwards: so the
 * machine that answers is the machine that relays. upstream.c calls it inside the second sandbox.
 */
#ifndef PROXXY_API_H
#define PROXXY_API_H

struct upstream;

/* Asks Proxmox, one after the other:
 *   - for a VM's VNC console, GET /version: what vncproxy accepts depends on the release;
 *   - if the payload has no node, GET /cluster/resources: where the guest is now;
 *   - POST …/vncproxy or …/termproxy.
 * It has to be right at once, because Proxmox ends the connection after an answer of 400 and above.
 * Sets node, vncticket, vnc_port, user and password of u->console.
 * Returns 0, or an error of upstream_open() with u->reason and u->detail. Leaves no answer in
 * memory in any case. */
int api_request_console(struct upstream *u);

#endif
