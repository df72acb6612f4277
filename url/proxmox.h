/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backend needs of Proxmox's API: logs in, and requests a console. Paths and parameters are
 * those of Proxmox VE's API viewer.
 */
#ifndef PROXXY_PROXMOX_H
#define PROXXY_PROXMOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/curl_api.h"
#include "lib/payload.h"

enum {
	PROXMOX_ANSWER_MAX = 16 * 1024, /* bytes of an answer's body; a console's has about 4 KiB */
	PROXMOX_USER_MAX = API_USER_MAX,
	/* Bytes of a VNC password, with its NUL. RFB uses 8 of them; Proxmox before 8.0 sends a
	 * ticket. */
	PROXMOX_PASSWORD_MAX = 128,
};

/* The server and the credentials. The caller owns the strings. */
struct proxmox {
	const char *host;            /* name or address, IPv6 in brackets, with :port unless 8006 */
	const char *ca_file;         /* PEM that the API's certificate must chain to; "" for the system's store */
	const char *token;           /* "user@realm!name=secret"; secret. NULL to log in with the next two */
	const char *user, *password; /* "user@realm"; the password is secret */
	int status;                  /* HTTP status of the last answer; 0 if there was none */
	char why[API_WHY_MAX];       /* a sentence about the failure for the operator, without a secret */
};

enum proxmox_kind { PROXMOX_VNC, PROXMOX_TERMINAL };

/* A console that Proxmox has opened. Proxmox waits 10 s for a connection to it, and accepts one. */
struct proxmox_console {
	char ticket[CONSOLE_TICKET_MAX + 1];       /* for the payload's "ticket"; secret */
	char vncticket[CONSOLE_VNCTICKET_MAX + 1]; /* for the payload's "vncticket"; secret */
	char port[6];                              /* for the payload's "port" */
	char user[PROXMOX_USER_MAX];               /* owner of vncticket; a terminal's first message has both */
	char password[PROXMOX_PASSWORD_MAX];       /* for VNC authentication; secret; "" for a terminal */
};

/* Requests a console of guest vmid. Unless p has a token, logs in first: POST /access/ticket. Then
 * sends POST /nodes/NODE/TYPE/VMID/vncproxy or termproxy. Only vncproxy accepts "websocket", and
 * only a VM's vncproxy "generate-password"; Proxmox refuses unknown parameters. If it refuses the
 * latter, this function retries without it.
 * Returns 0. The caller wipes *ret with proxmox_wipe(). Otherwise sets p->why and returns an
 * ERR_UPSTREAM code, ERR_CONFIG or ERR_SYSTEM. */
int proxmox_open_console(struct proxmox *p, const char *node, const char *type, uint32_t vmid, enum proxmox_kind kind,
			 struct proxmox_console *ret);

/* Overwrites *console. */
void proxmox_wipe(struct proxmox_console *console);

#endif
