/* SPDX-License-Identifier: Apache-2.0
 *
 * The beginning of a VNC console (RFB, RFC 6143 sections 7.1 and 7.2): proxxy logs in to the
 * console with its password, and then lets the client in without one. Works on memory only: no
 * I/O, no logging, nothing allocated.
 *
 *     console                     proxxy                      client
 *        | version ------------------>|                          |
 *        |<----------------- version  |                          |
 *        | security types ----------->|                          |
 *        |<--- 2, VNC Authentication  |                          |
 *        | challenge, 16 bytes ------>|                          |
 *        |<--------------- response   |                          |
 *        | SecurityResult ----------->| version 3.8 ------------>|
 *        |                            |<---------------- version |
 *        |                            | types: None alone ------>|
 *        |                            |<---------------- 1, None |
 *        |                            | SecurityResult 0 ------->|
 *        |<- - - - - - - - - ClientInit, relayed - - - - - - - - |
 *
 * The console comes first, and alone: a client hears nothing before the password was right. Both
 * sides may use 3.3, 3.7 or 3.8, each its own. ClientInit and what follows it are the same in these
 * versions, and are not touched.
 *
 * The console must be of RFB 3; QEMU and vncterm are of 3.8. Another minor version than 7 and 8 is
 * treated as 3.3, as RFC 6143 section 7.1.1 demands. A client is treated as TigerVNC's and
 * libvncserver's servers do: below 3.7 as 3.3, above 3.8 as 3.8, which was the offer; also 4.0 and
 * more, which other servers offer. The client of macOS says 3.889. After it chose None, it expects
 * no SecurityResult and sends no ClientInit (libvncserver, src/libvncserver/auth.c): rfb_feed()
 * sends a ClientInit to the console for it.
 *
 * Example:
 *
 *     rfb_init(&rfb, password);
 *     while ((size = rfb_wants(&rfb, &from)) > 0) {
 *             read 1 to size bytes of from's to in; at an end or error: rfb_wipe(), give up
 *             rc = rfb_feed(&rfb, in, n, out, &n_out, &to, &why);
 *             if (rc < 0)
 *                     log why and rfb_reason(), rfb_wipe(), give up
 *             write all n_out bytes of out to to
 *     }
 */
#ifndef PROXXY_RFB_H
#define PROXXY_RFB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RFB_PASSWORD_MAX = 8, /* bytes of a password that VNC Authentication looks at: a DES key */
	RFB_REASON_MAX = 256, /* bytes that are read of the console's reason; a sentence has fewer */
	RFB_OUT_MAX = 16,     /* bytes of the longest message to either side: the response */
	RFB_WANTS_MAX = 256,  /* bytes of the most that rfb_wants() returns: room for each read */
};

enum rfb_peer { RFB_SERVER, RFB_CLIENT };

/* Results of rfb_feed(). Those below 0 are final. They are no codes of lib/error.h: the caller maps
 * them. */
enum rfb_result {
	RFB_MORE = 0,            /* the beginning is not complete */
	RFB_DONE = 1,            /* it is: write the output, then relay */
	RFB_REFUSED = -1,        /* the console refused the password, or the connection: rfb_reason() */
	RFB_NO_AUTH = -2,        /* the console has neither VNC Authentication nor None */
	RFB_SERVER_INVALID = -3, /* the console violated RFC 6143 */
	RFB_CLIENT_INVALID = -4, /* the client did */
};

/* Only rfb.c looks inside. */
struct rfb {
	uint8_t step;        /* which message is expected */
	uint16_t minor;      /* the version with the console, later that with the client: 3, 7, 8 or 889 */
	bool choice_waits;   /* None is chosen, and the console is not told yet: see rfb_feed() */
	bool responded;      /* the password was used */
	size_t size, filled; /* bytes of the expected message, and those of them that came */
	const char *why;     /* it is refused: a static phrase, else NULL */
	uint8_t message[RFB_WANTS_MAX];
	uint8_t password[RFB_PASSWORD_MAX]; /* padded with zeros; wiped as soon as it was used */
	char reason[RFB_REASON_MAX + 1];
};

/* Starts with a password: a NUL-terminated text, of which VNC uses the first 8 bytes. It is copied,
 * and wiped here as soon as the response is made or no response is needed. */
void rfb_init(struct rfb *r, const char *password);

/* Returns how many bytes rfb_feed() takes at most now; *ret_from is the side whose bytes they must
 * be. It is at most RFB_WANTS_MAX, and never more than the expected message needs. Whoever reads no
 * more than this leaves what follows the beginning to the relay. It may be less than a message. At
 * first it is 12 bytes of RFB_SERVER, the console's version. After RFB_DONE, an error or rfb_wipe()
 * it is 0, and *ret_from is not set. */
size_t rfb_wants(const struct rfb *r, enum rfb_peer *ret_from);

/* Takes len bytes, from 1 to what rfb_wants() returned, of the side that it named. A message may
 * come in parts of any size. Writes what must be sent now to out: *ret_out bytes, which may be 0,
 * for *ret_to. The caller sends them before it feeds more. One call has output for one side only.
 * Where both are due (the console is of 3.7 and has None alone), the client's first byte is wanted
 * alone, and what is due to the console comes then.
 * Returns a result of enum rfb_result. RFB_DONE comes with the client's last byte, and has output
 * for either side or none. At RFB_DONE and at an error r is wiped. At an error there is no output,
 * and *ret_why is a static phrase without a secret and without words of either side; otherwise
 * *ret_why is not set. */
int rfb_feed(struct rfb *r, const uint8_t *in, size_t len, uint8_t out[RFB_OUT_MAX], size_t *ret_out,
	     enum rfb_peer *ret_to, const char **ret_why);

/* True from the moment when the console's refusal is known, which is before its reason came: a
 * console may close the connection without one, or in the middle of it. */
bool rfb_is_refused(const struct rfb *r);

/* Returns the console's own words for its refusal, as far as they came, else "": at most
 * RFB_REASON_MAX characters of printable ASCII, with '?' in place of each other byte. The rest of a
 * longer text is not read. They stay when r is wiped. */
const char *rfb_reason(const struct rfb *r);

/* Overwrites the password and all that the messages were made of. Allowed at any time, also more
 * than once. rfb_wants() returns 0 from then on; rfb_is_refused() and rfb_reason() still answer.
 * Registers are not overwritten: wipe_stack() in session/wipe.h does that. */
void rfb_wipe(struct rfb *r);

#endif
