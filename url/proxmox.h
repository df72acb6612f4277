/* SPDX-License-Identifier: Apache-2.0
 *
 * Proxmox's API, as far as a backend needs it for a console: a login, and the POST that opens one. Over verified TLS.
 */
#ifndef PROXXY_PROXMOX_H
#define PROXXY_PROXMOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payload.h"

enum {
	PROXMOX_ANSWER_MAX = 16 * 1024, /* bytes of an answer; a console's has some 4 KiB */
	PROXMOX_USER_MAX = 256,         /* bytes of a user or token, "user@realm!name", with the NUL */
	PROXMOX_PASSWORD_MAX = 128,     /* bytes of a VNC password, with the NUL; RFB knows 8, Proxmox before 8.0 gives a ticket */
	PROXMOX_TIMEOUT_S = 15,         /* for one call; Proxmox takes 3 to refuse */
	PROXMOX_WHY_MAX = 512,
};

/* Who asks, and whom. */
struct proxmox {
	const char *host;     /* name or address, brackets around IPv6, with :port unless 8006 */
	const char *ca_file;  /* PEM that the API's certificate must chain to; "" for the system's store */
	const char *token;    /* "user@realm!name=secret"; secret. NULL to log in with the next two */
	const char *user, *password; /* "user@realm"; the password is secret */
	int status;                  /* HTTP's, of the last answer; 0 when there was none */
	char why[PROXMOX_WHY_MAX];   /* what went wrong, in words for the operator, without a secret */
};

enum proxmox_kind { PROXMOX_VNC, PROXMOX_TERMINAL };

/* An open console: Proxmox waits 10 s for the one connection to it. */
struct proxmox_console {
	char ticket[CONSOLE_TICKET_MAX + 1];       /* what the payload's member of that name takes; secret */
	char vncticket[CONSOLE_VNCTICKET_MAX + 1]; /* secret */
	char port[6];
	char user[PROXMOX_USER_MAX];         /* whom vncticket is for: the terminal's first message says both */
	char password[PROXMOX_PASSWORD_MAX]; /* of VNC; secret; "" for a terminal */
};

/* Opens a console: POST /access/ticket first unless p has a token, then POST
 * /nodes/NODE/TYPE/VMID/vncproxy or termproxy. Only vncproxy accepts "websocket", and only a VM's
 * accepts "generate-password"; Proxmox refuses unknown parameters. If it refuses the latter, this
 * asks once more without it. Returns 0, or sets p->why and returns ERR_UPSTREAM_RESOLVE, _CONNECT,
 * _TIMEOUT, _TLS, _UNTRUSTED, _REFUSED, _ANSWER or _BROKE, ERR_CONFIG or ERR_SYSTEM. */
int proxmox_open_console(struct proxmox *p, const char *node, const char *type, uint32_t vmid, enum proxmox_kind kind,
			 struct proxmox_console *ret);

/* Overwrites what is secret. */
void proxmox_wipe(struct proxmox_console *console);

#endif
