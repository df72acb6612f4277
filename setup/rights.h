/* SPDX-License-Identifier: Apache-2.0
 *
 * What proxxy-setup makes in Proxmox's access control: the role, the user, the token, and the
 * permissions of both. Each is made if it is missing, and kept if it is there. A token's privileges
 * are those that user and token both have.
 *
 * Comments say what was made here: "Made by proxxy-setup" of the user, "Made by proxxy-setup on
 * MACHINE" of a token. A role cannot have one; it counts as ours by its name and privileges.
 */
#ifndef PROXXY_SETUP_RIGHTS_H
#define PROXXY_SETUP_RIGHTS_H

#include "setup/setup.h"

#define RIGHTS_COMMENT "Made by proxxy-setup"

/* Makes them, says what it did, and sets s->token. If the cluster file s->before has the token,
 * and Proxmox accepts it, the token is kept; else it is made anew. Returns EX_OK, or prints an
 * error and returns its exit status. */
int rights_make(struct setup *s);

/* Removes what was made here. The user stays while another token of it is there, and the role while
 * it is used. Returns as rights_make(). */
int rights_remove(struct setup *s);

#endif
