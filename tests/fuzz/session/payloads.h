/* SPDX-License-Identifier: Apache-2.0
 *
 * The payloads of fuzzed sessions, the key that seals them, and the secrets in them and in what
 * Proxmox answers.
 */
#ifndef PROXXY_TESTS_FUZZ_PAYLOADS_H
#define PROXXY_TESTS_FUZZ_PAYLOADS_H

#include "lib/access.h"
#include "lib/cluster.h"
#include "lib/keys.h"
#include "tests/fuzz/fuzz.h"

enum { PAYLOADS = 20 };

#define TICKET_SECRET "c2VjcmV0LXRpY2tldA"
#define TICKET "PVE:root@pam:65F0A1B2::" TICKET_SECRET
#define CSRF "65F0A1B2:c2VjcmV0LWNzcmY"
#define VNCTICKET_SECRET "c2VjcmV0LXZuYw"
#define VNCTICKET "PVEVNC:65F0A1B2::" VNCTICKET_SECRET
#define TOKEN_SECRET "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
#define TOKEN "PVEAPIToken=proxxy@pve!panel=" TOKEN_SECRET
#define VNC_PASSWORD "s3cr~t_P"
#define CONSOLE_USER "carol@pve!panel"
#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

extern const struct key sealing_key;

/* Seals the payloads in the first call. Returns them. */
const char *const *payloads_sealed(void);

/* Returns the number of the payload that text contains, or PAYLOADS if it contains none. */
size_t payloads_find(const void *text, size_t size);

/* True if proxxy logs in to the console that payload number opens. */
bool payloads_log_in(size_t number);

/* Fails if text contains a secret, or a part of a payload, that Proxmox did not send: it may echo
 * what it knows in the reason of a Close. */
void payloads_require_no_secret(const void *text, size_t size, const void *from_proxmox, size_t n_from_proxmox);

/* Fails if *opened or *config still has a secret. */
void payloads_require_wiped(const struct access *opened, const struct config *config);

/* Makes *ret the cluster file "main", with the token. */
void payloads_cluster(struct cluster *ret);

#endif
