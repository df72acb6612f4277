/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of proxxy-setup to Proxmox's API: identities, calls, and reading of answers. Errors are
 * printed here.
 */
#ifndef PROXXY_SETUP_REQUEST_H
#define PROXXY_SETUP_REQUEST_H

#include <json-c/json_types.h>

#include "setup/setup.h"

enum { REQUEST_FIELDS_MAX = 768 /* bytes of a form, with its NUL */ };

/* Prepares api for HOST: every connection accepts the certificate that s->certificate is, and no
 * other one. The answers share s->answer. secret is what no error text may contain. */
void request_prepare(struct setup *s, struct api *api, const char *secret);

/* Authenticates s->api as the administrator: asks for the password, or reads the token. Returns
 * EX_OK, or prints an error and returns its exit status. */
int request_log_in(struct setup *s);

/* Sends a request as the administrator. Returns as request_log_in(). */
int request_send(struct setup *s, enum api_method method, const char *path, const char *fields);

/* Does the same with a GET through api, and parses the answer, an array. The caller frees
 * *ret_answer with strict_json_wipe(); *ret_list is part of it. */
int request_list(struct api *api, const char *path, const char *fields, struct json_object **ret_answer,
		 struct json_object **ret_list);

/* Appends "name=value" to a form, percent-encoded, after a '&' if it is not empty. Returns false if
 * it is too long for REQUEST_FIELDS_MAX bytes. */
bool request_add(char fields[REQUEST_FIELDS_MAX], const char *name, const char *value);

/* Returns the entry of list in which the member name has that value, or NULL. */
struct json_object *request_find(struct json_object *list, const char *name, const char *value);

/* Returns the text of a member, or "". Proxmox's texts may have line feeds. */
const char *request_text(struct json_object *object, const char *name);

/* Returns whether a member is a true boolean or a number that is not 0, in JSON's or Perl's type;
 * missing is returned if it is not there. */
bool request_flag(struct json_object *object, const char *name, bool missing);

#endif
