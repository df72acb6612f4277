/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements proxxy-conn --check: checks the settings and the key for the operator, before any
 * client connects.
 */
#ifndef PROXXY_CHECK_H
#define PROXXY_CHECK_H

#include "lib/config.h"

/* Loads everything that a session would load from the settings. Prints the settings files to
 * standard output, and errors and warnings to standard error. Returns an exit status of
 * sysexits.h. */
int check_settings(void);

/* Calls warn with a sentence for each setting that is allowed but unsafe. A session calls this
 * too. */
void check_warn(const struct config *config, void (*warn)(const char *message));

#endif
