/* SPDX-License-Identifier: Apache-2.0
 *
 * What proxxy-url does with a payload: prints the page's URL or JSON, or opens the console in a
 * browser or viewer.
 */
#ifndef PROXXY_OUTPUT_H
#define PROXXY_OUTPUT_H

#include <json-c/json_types.h>
#include <stddef.h>

#include "url/backend.h"
#include "url/options.h"
#include "url/proxmox.h"

enum { OUTPUT_WHY_MAX = 512 }; /* bytes of a sentence, with its NUL */

/* Prints or opens the payload, as the options say. details is what was sealed. console is what
 * Proxmox answered, which the page needs too; NULL for a link.
 * Returns 0. Otherwise returns a code of viewer_run() or browser_open(), ERR_CONFIG (a viewer got
 * too many arguments) or ERR_SYSTEM, and a sentence in why[0..size) that holds no secret. */
int output_payload(const struct url_options *o, const struct backend *backend, struct json_object *details,
		   const struct proxmox_console *console, const char *payload, char *why, size_t size);

#endif
