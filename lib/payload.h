/* SPDX-License-Identifier: Apache-2.0
 *
 * What a payload says: the console, and who may have it until when. JSON in, validated structs out. Pure.
 */
#ifndef PROXXY_PAYLOAD_H
#define PROXXY_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "lib/host.h"

enum {
	CONSOLE_HOST_MAX = HOST_NAME_MAX_LEN,
	PROXMOX_PORT = 8006, /* of its API */
	CONSOLE_AUTHORITY_MAX = CONSOLE_HOST_MAX + 9, /* bytes of "[host]:port" with its NUL */
	CONSOLE_VMID_MAX = 999999999, /* Proxmox's highest */
	CONSOLE_TICKET_MAX = 4096,   /* bytes; Proxmox takes 8 KiB for all header fields together */
	CONSOLE_VNCTICKET_MAX = 512, /* bytes; Proxmox's own limit */
	CLAIMS_JTI_MAX = 256,        /* bytes; a UUID has 36 */
	CLAIMS_CA_MAX = 8 * 1024,    /* bytes of PEM; Proxmox's own CA has 2 KiB */
	CLAIMS_NETWORK_MAX = 49,     /* characters of an IPv6 network */
	CLAIMS_SESSION_MAX = 31536000, /* seconds */
};

#define PAYLOAD_NOT_JSON "not a JSON object" /* one of payload_parse()'s phrases */

struct console {
	uint32_t vmid;
	const char *type;                 /* "qemu" or "lxc", static storage */
	char host[CONSOLE_HOST_MAX + 1];  /* name or address, without brackets */
	bool host_is_address;
	uint16_t host_port;               /* 0 when the payload gave none */
	char node[CONSOLE_HOST_MAX + 1];
	uint16_t vnc_port;
	char ticket[CONSOLE_TICKET_MAX + 1];       /* secret */
	char vncticket[CONSOLE_VNCTICKET_MAX + 1]; /* secret */
};

/* What an authenticated payload says beside the console: the registered names of RFC 7519, and ours. */
struct claims {
	int64_t expires;    /* exp, seconds since 1970 */
	int64_t not_before; /* nbf, 0 when there is none */
	char jti[CLAIMS_JTI_MAX + 1];       /* "" when there is none */
	char origin[HOST_ORIGIN_MAX + 1];   /* the one Origin that may ask; "" for any */
	char client[CLAIMS_NETWORK_MAX + 1]; /* the address or network that the client must come from; "" for any */
	bool has_fingerprint;
	uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN]; /* SHA-256 of Proxmox's certificate */
	int session_max;                    /* seconds; 0 when it sets no limit */
	char *ca;                           /* PEM that Proxmox's certificate must chain to, or NULL; for free() */
};

/* Parses and validates json[0..len): an object {vmid, type, host, node, ticket, vncticket, port} in
 * UTF-8, possibly after a byte order mark. Ignores unknown members; no member may occur twice. With
 * ret_claims also {exp, nbf, jti, origin, client, fingerprint, ca, session_max}; exp is required.
 * Returns 0, or ERR_PAYLOAD_INVALID with a static phrase in *ret_why that holds nothing of the
 * payload. */
int payload_parse(const char *json, size_t len, struct console *ret_console, struct claims *ret_claims,
		  const char **ret_why);

/* Splits "name", "name.", "name:port", "a.b.c.d", "a.b.c.d:port", "ipv6" or "[ipv6]:port" into
 * *ret_console's host members. Removes the dot at the end of a name: certificates do not have it.
 * Returns 0 or ERR_PAYLOAD_INVALID. */
int payload_parse_host(const char *text, struct console *ret_console);

/* Writes the host and its port, or the one given when it has none, as a URL and a Host field have them: "name:port",
 * "[ipv6]:port". Returns text. */
const char *console_authority(const struct console *console, int port, char text[CONSOLE_AUTHORITY_MAX]);

/* Returns a static phrase if Proxmox can never accept the ticket, else NULL. Proxmox accepts API
 * tokens and users' tickets. The latter begin with "PVE:" in every realm (pve-access-control:
 * AccessControl.pm, assemble_ticket()) and may be percent-encoded. A ticket that is no token is
 * sent as a user's. */
const char *console_ticket_wrong(const struct console *console);

/* Overwrites the ticket and vncticket. */
void console_wipe(struct console *console);

#endif
