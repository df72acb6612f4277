/* SPDX-License-Identifier: Apache-2.0
 *
 * What a payload says and whether proxxy would take it, for whoever has to find out why a console does not open.
 */
#ifndef PROXXY_EXPLAIN_H
#define PROXXY_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/keys.h"

enum { EXPLAIN_PAYLOAD_MAX = 16 * 1024 }; /* bytes of a payload, with its NUL; proxxy takes no head over 16 KiB */

/* Prints what the payload in text holds, which is the payload itself or a URL with one, and the verdict, by the session's
 * own settings where this machine has them: for people, with nothing in it that opens a console; or as JSON, with all of it,
 * secrets too. text begins with a space, and is changed.
 * Returns 0 when proxxy would take it now, from whoever it is for; else the error that it would be refused with, why
 * being "". ERR_PAYLOAD_MISSING, and ERR_CONFIG for those settings, come with a sentence in why[0..size) instead of a print. */
int explain_payload(char *text, const struct key *keys, size_t n_keys, bool json, char *why, size_t size);

#endif
