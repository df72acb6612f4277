/* SPDX-License-Identifier: Apache-2.0
 *
 * --dry-run: the commands that do what proxxy-setup does.
 */
#ifndef PROXXY_SETUP_COMMANDS_H
#define PROXXY_SETUP_COMMANDS_H

#include "setup/setup.h"

/* Prints the commands for the Proxmox host (pveum) and for this machine, or with options.undo those
 * that remove everything. Uses neither network nor files. Returns an exit status. */
int commands_print(struct setup *s);

#endif
