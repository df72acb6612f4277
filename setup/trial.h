/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a console through proxxy, as a browser would: runs proxxy-conn as the user proxxy with a
 * connection, and sends it a payload that is sealed with the installed key.
 */
#ifndef PROXXY_SETUP_TRIAL_H
#define PROXXY_SETUP_TRIAL_H

#include "setup/setup.h"

/* The user that sessions run as; its primary group may read cluster files. */
#define TRIAL_USER "proxxy"

/* Chooses a guest that the token may open, opens its console and closes it. Says which, and how
 * it went, or that there is no guest to try. Returns EX_OK, and the guest in *ret_vmid (0 for
 * none) and *ret_container; or prints an error and returns its exit status. */
int trial_run(struct setup *s, uint32_t *ret_vmid, bool *ret_container);

#endif
