/* SPDX-License-Identifier: Apache-2.0
 *
 * The console that a payload names: JSON in, validated struct out. Pure.
 */
#ifndef PROXXY_PAYLOAD_H
#define PROXXY_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONSOLE_HOST_MAX = 253,      /* characters of a host name in text (RFC 1035 section 2.3.4) */
	CONSOLE_VMID_MAX = 999999999, /* Proxmox's highest */
	CONSOLE_TICKET_MAX = 4096,   /* bytes; Proxmox takes 8 KiB for all header fields together */
	CONSOLE_VNCTICKET_MAX = 512, /* bytes; Proxmox's own limit */
	CONSOLE_JSON_DEPTH = 8,      /* nesting; the schema needs 1, members that we ignore may have more */
};

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

/* Parses and validates json[0..len), UTF-8, the object {vmid, type, host, node, ticket, vncticket,
 * port}; members that it does not know are ignored, of one that comes twice the last counts.
 * Returns 0, or ERR_PAYLOAD_INVALID with a static phrase in *ret_why that holds nothing of the
 * payload, or ERR_SYSTEM. */
int payload_parse(const char *json, size_t len, struct console *ret_console, const char **ret_why);

/* Splits "name", "name:port", "a.b.c.d", "a.b.c.d:port", "ipv6" or "[ipv6]:port" into *ret_console's
 * host members. Returns 0 or ERR_PAYLOAD_INVALID. */
int payload_parse_host(const char *text, struct console *ret_console);

/* Overwrites the ticket and vncticket. */
void console_wipe(struct console *console);

#endif
