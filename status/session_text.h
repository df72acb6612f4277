/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads what systemd knows of a session: the name of its unit, and the status text that proxxy-conn
 * sets. Pure: slices are parts of the caller's text.
 */
#ifndef PROXXY_STATUS_SESSION_TEXT_H
#define PROXXY_STATUS_SESSION_TEXT_H

#include "lib/slice.h"

enum { SESSION_UNIT_MAX = 255 }; /* bytes of a unit's name: systemd's UNIT_NAME_MAX without the NUL */

/* A session's status text in parts. Those that the text does not have are empty (len 0). */
struct session_text {
	struct slice type, vmid, place; /* the guest, and its node (or the cluster or host, if no node is known) */
	struct slice client;            /* its address */
	struct slice sub, jti, kid;     /* JSON strings with their quotation marks */
};

/* Returns true if name is that of a session: an instance of proxxy@.service, as systemd names
 * one for a connection (systemd.socket(5), Accept=). Names of other units, paths and escapes are
 * none. */
bool session_is_unit(struct slice name);

/* Splits text, such as
 *     qemu 100 on pve01 for 203.0.113.7; sub "alice", jti "a1", kid "main"
 * Each of "for …", sub, jti and kid may be missing; they are in this order. Whether the strings are
 * valid JSON is left to the caller; they end at their closing quotation mark.
 * Returns false, and sets nothing, if the text has another form. */
bool session_parse(const char *text, struct session_text *ret);

#endif
