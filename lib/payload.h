/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses and validates the JSON of an opened payload: which console it is for, and the claims that
 * limit who may open it, and when. man/proxxy-payload.7 describes the members. Pure.
 */
#ifndef PROXXY_PAYLOAD_H
#define PROXXY_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "lib/host.h"
#include "lib/keys.h"

enum {
	CONSOLE_HOST_MAX = HOST_NAME_MAX_LEN,
	PROXMOX_PORT = 8006,                          /* TCP port of Proxmox's API */
	CONSOLE_AUTHORITY_MAX = CONSOLE_HOST_MAX + 9, /* bytes of "[host]:port" with its NUL */
	CONSOLE_VMID_MAX = 999999999,                 /* Proxmox's limit */
	CONSOLE_TICKET_MAX = 4096,                    /* bytes; Proxmox accepts 8 KiB of header fields in total */
	CONSOLE_VNCTICKET_MAX = 512,                  /* bytes; Proxmox's own limit */
	CONSOLE_CSRF_MAX = 256,                       /* bytes; Proxmox's has 52 */
	CONSOLE_USER_MAX = 160,                       /* bytes of USER@REALM!NAME; Proxmox allows 64 for USER@REALM */
	CONSOLE_PASSWORD_MAX = 8,                     /* bytes; VNC uses no more (RFC 6143 section 7.2.2) */
	CLAIMS_JTI_MAX = 256,                         /* bytes; a UUID has 36 */
	CLAIMS_SUB_MAX = 128,                         /* bytes of sub that the log gets */
	CLAIMS_CA_MAX = 8 * 1024,                     /* bytes of PEM; Proxmox's own CA has 2 KiB */
	CLAIMS_NETWORK_MAX = 49,                      /* characters of an IPv6 network */
	CLAIMS_SESSION_MAX = 31536000,                /* seconds */
};

#define PAYLOAD_NOT_JSON "not a JSON object" /* payload_parse()'s phrase for text that is no JSON */

struct console {
	uint32_t vmid;
	const char *type;                /* "qemu" or "lxc", static storage */
	char host[CONSOLE_HOST_MAX + 1]; /* name or address, without brackets */
	bool host_is_address;
	uint16_t host_port;              /* 0 if the payload has no port for host */
	char node[CONSOLE_HOST_MAX + 1]; /* "" if Proxmox must be asked for it */
	/* The payload has no console ticket: session/api.c requests one. Until then vnc_port is 0,
	 * and vncticket, user and password are "". */
	bool late;
	bool terminal; /* termproxy's console, else a VNC console */
	bool login;    /* proxxy logs in to the console, in place of the client */
	uint16_t vnc_port;
	char cluster[KEY_NAME_MAX + 1];            /* name of the cluster file to use; "": host is set */
	char user[CONSOLE_USER_MAX + 1];           /* whose console ticket it is, for a terminal's login */
	char ticket[CONSOLE_TICKET_MAX + 1];       /* secret; "" if the cluster file's token is to be used */
	char csrf[CONSOLE_CSRF_MAX + 1];           /* secret; the CSRFPreventionToken of a user's ticket */
	char vncticket[CONSOLE_VNCTICKET_MAX + 1]; /* secret */
	char password[CONSOLE_PASSWORD_MAX + 1];   /* secret; of a VNC console */
};

/* The claims of an authenticated payload: those that RFC 7519 section 4.1 registers, and our
 * own. */
struct claims {
	int64_t expires;                     /* exp, Unix time in seconds */
	int64_t not_before;                  /* nbf, Unix time in seconds; 0 if it is missing */
	int64_t issued;                      /* iat, Unix time in seconds; 0 if it is missing */
	char sub[CLAIMS_SUB_MAX + 1];        /* who opens the console, for the log; "" if it is missing */
	char jti[CLAIMS_JTI_MAX + 1];        /* "" if it is missing */
	char origin[HOST_ORIGIN_MAX + 1];    /* the only Origin that is allowed; "" for any */
	char client[CLAIMS_NETWORK_MAX + 1]; /* the client's address must be in this network; "" for any */
	bool has_fingerprint;
	uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN]; /* SHA-256 of Proxmox's certificate */
	int session_max;                             /* seconds; 0 for no limit */
	char *ca; /* PEM that Proxmox's certificate must chain to, or NULL; the caller frees it */
};

/* Parses and validates json[0..len): an object {vmid, type, host, node, ticket, vncticket, port} in
 * UTF-8, possibly after a byte order mark. If ret_claims is not NULL, the payload is authenticated,
 * and may have more:
 *   - the claims {exp, nbf, iat, jti, sub, origin, client, fingerprint, ca, session_max}, of which
 *     only exp is required;
 *   - password, or protocol "term" and user: proxxy then logs in to the console;
 *   - neither vncticket nor port: proxxy requests the console. Then {node, ticket, csrf, protocol}
 *     are optional, and cluster may replace host.
 * Ignores other members. No member may occur twice.
 * Returns 0. The caller then wipes *ret_console with console_wipe() and frees ret_claims->ca.
 * Otherwise returns ERR_PAYLOAD_INVALID, and a static phrase in *ret_why that holds nothing of the
 * payload. */
int payload_parse(const char *json, size_t len, struct console *ret_console, struct claims *ret_claims,
		  const char **ret_why);

/* Parses "name", "name.", "name:port", "a.b.c.d", "a.b.c.d:port", "ipv6" or "[ipv6]:port" into the
 * host members of *ret_console. Removes the dot at the end of a name.
 * Returns 0, or ERR_PAYLOAD_INVALID; *ret_console is then unchanged. */
int payload_parse_host(const char *text, struct console *ret_console);

/* Writes host and port in the format of a URL and a Host field: "name:port" or "[ipv6]:port". If
 * the console has no host_port, uses port. Returns text. */
const char *console_authority(const struct console *console, int port, char text[CONSOLE_AUTHORITY_MAX]);

/* Returns a static phrase if Proxmox can never accept console->ticket, else NULL. Proxmox accepts
 * API tokens and users' tickets. The latter begin with "PVE:" in every realm (pve-access-control:
 * AccessControl.pm, assemble_ticket()) and may be percent-encoded. proxxy sends a ticket that is no
 * token as a user's ticket. */
const char *console_ticket_error(const struct console *console);

/* Returns a static phrase if a session with that payload must be refused because of its ticket,
 * else NULL: as console_ticket_error(); or it is late, and a user's ticket has no csrf; or it is
 * late without a ticket, and has a certificate of its own. The cluster file's token would go to
 * whoever has that certificate, so a key that leaked would be enough to get the token. */
const char *payload_ticket_error(const struct console *console, const struct claims *claims);

/* Returns true if the ticket is an API token. Any other ticket is a user's. */
bool console_has_token(const struct console *console);

/* Overwrites the secret members. */
void console_wipe(struct console *console);

#endif
