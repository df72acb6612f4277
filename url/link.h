/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the details of a link: which guest's console proxxy requests from Proxmox when the link is
 * used, and who may use it. Needs no network.
 */
#ifndef PROXXY_LINK_H
#define PROXXY_LINK_H

#include <json-c/json_types.h>
#include <stddef.h>

#include "url/backend.h"
#include "url/options.h"

enum { LINK_WHY_MAX = 768 }; /* bytes of a sentence, with its NUL; it may list cluster files */

/* Makes the details of a link for the options. Its cluster is that of --cluster, else
 * PROXXY_CLUSTER, else the only one that has a file in PROXXY_CLUSTER_DIRECTORY on this machine;
 * --host replaces it.
 * Returns 0 and the details, which the caller frees with strict_json_wipe(). *ret_lifetime then
 * has the seconds for exp, and why[0..size) a warning, or "". Otherwise returns ERR_CONFIG and a
 * sentence in why. */
int link_details(const struct url_options *o, const struct backend *backend, struct json_object **ret_details,
		 int *ret_lifetime, char *why, size_t size);

/* Adds the claims that options set: sub, origin, client, session_max. */
void link_add_claims(struct json_object *details, const struct url_options *o);

#endif
