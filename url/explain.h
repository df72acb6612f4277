/* SPDX-License-Identifier: Apache-2.0
 *
 * Decrypts a payload, prints its contents, and checks whether proxxy would accept it. It is
 * "proxxy-url open", which helps an operator to find out why a console does not open.
 */
#ifndef PROXXY_EXPLAIN_H
#define PROXXY_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/keys.h"

enum { EXPLAIN_PAYLOAD_MAX = 16 * 1024 }; /* bytes of a payload, with its NUL; a request head has 16 KiB */

/* Prints the contents of a payload and a verdict: whether proxxy would accept it now, apart from
 * the origin and client address that it is limited to, and from whether it was used. If this
 * machine has proxxy's settings and cluster files, they apply. text is a payload, or a URL that
 * contains one; it must begin with a space, and is changed. The output has no secret, with one
 * exception: as JSON it has the tickets of a payload with a console ticket.
 * Returns 0 if proxxy would accept the payload. Otherwise returns the error of the refusal, and ""
 * in why.
 * Returns ERR_PAYLOAD_MISSING if text contains no payload, or ERR_CONFIG for an invalid setting;
 * then it prints nothing, and why[0..size) is a sentence. */
int explain_payload(char *text, const struct key *keys, size_t n_keys, bool json, char *why, size_t size);

#endif
