/* SPDX-License-Identifier: Apache-2.0
 *
 * A second reader of the VNC handshake, to check rfb.h and login.h against. It is simple: it has
 * all bytes of a side at once, and shares no code with rfb.c.
 */
#ifndef PROXXY_TESTS_FUZZ_REFERENCE_RFB_H
#define PROXXY_TESTS_FUZZ_REFERENCE_RFB_H

#include "tests/fuzz/fuzz.h"

#include "session/rfb.h"

enum { REFERENCE_SENT_MAX = 64 }; /* bytes that either side gets at most */

/* What a conversation came to. Begin with zeros. */
struct reference_rfb {
	int result;
	size_t used; /* bytes of the stream */
	uint8_t sent[2][REFERENCE_SENT_MAX];
	size_t n_sent[2];         /* by enum rfb_peer */
	const uint8_t *challenge; /* NULL if there was none */
	size_t response;          /* where in sent[RFB_SERVER] the response to it is: zeros stand for it */
	bool refused;
	char reason[RFB_REASON_MAX + 1];
};

/* Adds what is sent to one side. */
void reference_sent(struct reference_rfb *o, enum rfb_peer to, const void *bytes, size_t size);

/* Reads the console's phase from in, what the console sends. Returns RFB_DONE if it let us in, else
 * as rfb_feed(); RFB_MORE if in ends before. *ret_waits is true if a console of 3.7 gets the choice
 * of None when the client's first byte has come. */
int reference_console(struct input *in, struct reference_rfb *o, bool *ret_waits);

/* Reads the client's phase from in, what the client sends. Returns as rfb_feed(). */
int reference_client(struct input *in, struct reference_rfb *o, bool waits);

/* Fails if response is not that of password to challenge. */
void reference_check_response(const char *password, const uint8_t challenge[16], const uint8_t response[16]);

#endif
