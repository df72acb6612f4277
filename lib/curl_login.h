/* SPDX-License-Identifier: Apache-2.0
 *
 * Authenticates the calls of curl_api.h: with an API token, or with a user's password and, if the
 * user has one, a one-time code.
 */
#ifndef PROXXY_CURL_LOGIN_H
#define PROXXY_CURL_LOGIN_H

#include <stdbool.h>

#include "lib/curl_api.h"

/* Makes later calls authenticate with an API token, "USER@REALM!NAME=SECRET". Returns 0, ERR_CONFIG
 * if it is too long, or ERR_SYSTEM. */
int api_use_token(struct api *api, const char *token);

/* Logs user ("USER@REALM") in, POST /access/ticket, and makes later calls authenticate with the
 * ticket, and with the CSRF token that Proxmox requires for every method but GET. Copies the ticket
 * to ret_ticket, unless that is NULL.
 * Returns 0 or an error. ERR_UPSTREAM_REFUSED with status 200: the password is right, but the user
 * has a second factor. The ticket is then only good to answer the challenge in it. */
int api_log_in(struct api *api, const char *user, const char *password, char ret_ticket[CONSOLE_TICKET_MAX + 1]);

/* Returns true if the challenge, such a ticket, can be answered with a one-time code (TOTP). */
bool api_takes_code(const char *challenge);

/* Logs in with the challenge and a one-time code. Returns as api_log_in(). */
int api_answer_code(struct api *api, const char *user, const char *challenge, const char *code);

#endif
