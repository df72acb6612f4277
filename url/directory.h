/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes a directory that only this user can enter, for a file or socket that another program of the
 * user opens.
 */
#ifndef PROXXY_DIRECTORY_H
#define PROXXY_DIRECTORY_H

#include <stddef.h>

/* Makes a new directory in the one that XDG_RUNTIME_DIR names, else in /tmp. Writes its path to
 * path[0..path_size). The caller removes it.
 * Returns 0. Otherwise returns ERR_SYSTEM, and a sentence in why[0..size). */
int directory_make(char *path, size_t path_size, char *why, size_t size);

#endif
