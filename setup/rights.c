/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes and removes the role, the user, the token and the permissions in Proxmox.
 */
#include "setup/rights.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "lib/curl_login.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/strict_json.h"
#include "setup/report.h"
#include "setup/request.h"

#define PATH_ROLES "/access/roles"
#define PATH_USERS "/access/users"
#define PATH_ACL "/access/acl"

enum {
	ID_MAX = 128,      /* bytes of "USER!NAME", with its NUL */
	COMMENT_MAX = 128, /* bytes of a comment, with its NUL */
};

/* Writes the token's full name, USER!NAME. Returns text. */
static const char *token_id(const struct setup *s, char text[ID_MAX])
{
	snprintf(text, ID_MAX, SETUP_USER "!%s", s->options.token_name);
	return text;
}

/* Writes the token's path in the API. Returns text. */
static const char *token_path(const struct setup *s, char text[ID_MAX])
{
	snprintf(text, ID_MAX, PATH_USERS "/" SETUP_USER "/token/%s", s->options.token_name);
	return text;
}

/* Writes the comment of a token that is made on this machine. Returns text. */
static const char *token_comment(const struct setup *s, char text[COMMENT_MAX])
{
	snprintf(text, COMMENT_MAX, RIGHTS_COMMENT " on %s", s->machine);
	return text;
}

/* --- role --------------------------------------------------------------------------------- */

/* Writes to rest those of the privileges in list that others lacks, comma-separated. Returns
 * rest. */
static const char *without(const char *list, const char *others, char *rest, size_t size)
{
	const char *item;
	size_t len, at = 0;

	rest[0] = '\0';
	while ((item = list_next(&list, &len))) {
		const char *other, *walk = others;
		size_t other_len;
		bool found = false;

		while (!found && (other = list_next(&walk, &other_len)))
			found = len == other_len && strncmp(item, other, len) == 0;
		if (!found && at + len + 2 < size)
			at += (size_t)snprintf(rest + at, size - at, "%s%.*s", at > 0 ? "," : "", (int)len, item);
	}
	return rest;
}

static int create_role(struct setup *s)
{
	char fields[REQUEST_FIELDS_MAX] = "";
	int rc;

	request_add(fields, "roleid", SETUP_ROLE);
	request_add(fields, "privs", SETUP_PRIVILEGES);
	rc = request_send(s, API_POST, PATH_ROLES, fields);
	if (rc == EX_OK)
		report_step("role", "made " SETUP_ROLE ": " SETUP_PRIVILEGES);
	return rc;
}

static int make_role(struct setup *s)
{
	struct json_object *answer, *list, *role;
	bool is_there;
	char missing[256], more[512], fields[REQUEST_FIELDS_MAX] = "";
	int rc = request_list(&s->api, PATH_ROLES, "", &answer, &list);

	if (rc != EX_OK)
		return rc;
	role = request_find(list, "roleid", SETUP_ROLE);
	is_there = role != NULL;
	without(SETUP_PRIVILEGES, request_text(role, "privs"), missing, sizeof(missing));
	without(request_text(role, "privs"), SETUP_PRIVILEGES, more, sizeof(more));
	strict_json_wipe(answer);
	if (!is_there)
		return create_role(s);
	if (*missing) {
		request_add(fields, "privs", missing);
		request_add(fields, "append", "1");
		rc = request_send(s, API_PUT, PATH_ROLES "/" SETUP_ROLE, fields);
		if (rc == EX_OK)
			report_step("role", "added to " SETUP_ROLE ": %s", missing);
	} else {
		report_step("role", "kept " SETUP_ROLE);
	}
	if (*more)
		report_step("", "Warning: " SETUP_ROLE " also has %s, which proxxy does not need", more);
	return rc;
}

/* --- user and token ----------------------------------------------------------------------- */

/* Finds our user in Proxmox's list. *ret_user is NULL if it is not there. The caller frees
 * *ret_answer. */
static int find_user(struct setup *s, struct json_object **ret_answer, struct json_object **ret_user)
{
	struct json_object *list;
	int rc = request_list(&s->api, PATH_USERS, "full=1", ret_answer, &list);

	*ret_user = rc == EX_OK ? request_find(list, "userid", SETUP_USER) : NULL;
	return rc;
}

/* Returns the token's entry of the user, or NULL. Sets *ret_others to whether it has other
 * tokens. */
static struct json_object *find_token(const struct setup *s, struct json_object *user, bool *ret_others)
{
	struct json_object *tokens, *token;

	*ret_others = false;
	if (!json_object_object_get_ex(user, "tokens", &tokens) || !json_object_is_type(tokens, json_type_array))
		return NULL;
	token = request_find(tokens, "tokenid", s->options.token_name);
	*ret_others = json_object_array_length(tokens) > (token ? 1 : 0);
	return token;
}

static int make_user(struct setup *s, struct json_object *user)
{
	char fields[REQUEST_FIELDS_MAX] = "";
	const int64_t expires = user ? strict_json_integer(user, "expire", INT64_MAX) : 0;
	int rc;

	if (user && (!request_flag(user, "enable", true) || (expires > 0 && expires <= time(NULL))))
		return report_error(EX_NOPERM, "the user " SETUP_USER
					       " is there, but disabled or expired. Enable it: \"pveum user "
					       "modify " SETUP_USER " --enable 1 --expire 0\" on the Proxmox host");
	if (user) {
		report_step("user", "kept " SETUP_USER);
		return EX_OK;
	}
	request_add(fields, "userid", SETUP_USER);
	request_add(fields, "comment", RIGHTS_COMMENT);
	rc = request_send(s, API_POST, PATH_USERS, fields);
	if (rc == EX_OK)
		report_step("user", "made " SETUP_USER ", without a password");
	return rc;
}

/* Returns true if the cluster file's token has that name, and Proxmox accepts its secret. Then
 * it is copied to s->token. */
static bool keep_token(struct setup *s)
{
	const char *text = s->before.token + strlen("PVEAPIToken=");
	char id[ID_MAX];
	const size_t len = strlen(token_id(s, id));
	struct api api;
	bool good;

	if (!*s->before.name || strncmp(text, id, len) != 0 || text[len] != '=' || strlen(text) >= sizeof(s->token))
		return false;
	request_prepare(s, &api, text + len + 1);
	good = api_use_token(&api, text) == OK && api_call(&api, API_GET, "/version", "") == OK;
	api_end(&api);
	if (good)
		snprintf(s->token, sizeof(s->token), "%s", text);
	return good;
}

/* Makes the token, which must not be there, and sets s->token. */
static int create_token(struct setup *s)
{
	char fields[REQUEST_FIELDS_MAX] = "", path[ID_MAX], id[ID_MAX], comment[COMMENT_MAX];
	struct json_object *answer = NULL, *data = NULL;
	const char *secret;
	int rc;

	request_add(fields, "comment", token_comment(s, comment));
	request_add(fields, "privsep", "1");
	rc = request_send(s, API_POST, token_path(s, path), fields);
	if (rc != EX_OK)
		return rc;
	if (api_data(&s->api, &answer, &data) < 0)
		return report_error(EX_PROTOCOL, "%s", s->api.why);
	secret = request_text(data, "value");
	if (!*secret || strpbrk(secret, " \t\r\n=!") ||
	    (size_t)snprintf(s->token, sizeof(s->token), "%s=%s", token_id(s, id), secret) >= sizeof(s->token))
		rc = report_error(EX_PROTOCOL, "%s: its answer has no secret of the new token", s->options.host);
	strict_json_wipe(answer);
	return rc;
}

/* Says that the token belongs to another machine. */
static int refuse_token(const struct setup *s, const char *comment)
{
	char id[ID_MAX];

	return report_error(
		EX_CONFIG,
		"the token %s is there already (%.100s), and its secret is not in %s. If another machine uses it, "
		"choose another name with --token-name. If not: \"pveum user token delete " SETUP_USER
		" %s\" on the Proxmox host",
		token_id(s, id), *comment ? comment : "without a comment", s->file, s->options.token_name);
}

static int make_token(struct setup *s, struct json_object *user)
{
	char path[ID_MAX], id[ID_MAX], comment[COMMENT_MAX];
	bool others;
	struct json_object *token = find_token(s, user, &others);
	const bool ours = strcmp(request_text(token, "comment"), token_comment(s, comment)) == 0;
	const bool works = token && keep_token(s);
	int rc = EX_OK;

	if (works && !s->options.new_token) {
		if (!request_flag(token, "privsep", true)) {
			rc = request_send(s, API_PUT, token_path(s, path), "privsep=1");
			if (rc == EX_OK)
				report_step("token", "separated the privileges of %s", token_id(s, id));
		} else {
			report_step("token", "kept %s", token_id(s, id));
		}
		return rc;
	}
	if (token && !works && !ours)
		return refuse_token(s, request_text(token, "comment"));
	/* Proxmox tells a token's secret only once. */
	if (token)
		rc = request_send(s, API_DELETE, token_path(s, path), "");
	if (rc == EX_OK)
		rc = create_token(s);
	if (rc == EX_OK)
		report_step("token", "made %s%s", token_id(s, id),
			    works ? " anew: the old secret has ended" :
			    token ? " anew, as its secret is not known here" :
				    "");
	return rc;
}

/* --- permissions -------------------------------------------------------------------------- */

/* Returns true if entry of the list gives our role on path (NULL: on any) to the user or token
 * id. */
static bool gives(struct json_object *entry, const char *type, const char *id, const char *path)
{
	return strcmp(request_text(entry, "roleid"), SETUP_ROLE) == 0 &&
	       strcmp(request_text(entry, "type"), type) == 0 && strcmp(request_text(entry, "ugid"), id) == 0 &&
	       (!path || (strcmp(request_text(entry, "path"), path) == 0 && request_flag(entry, "propagate", true)));
}

static bool is_given(struct json_object *list, const char *type, const char *id, const char *path)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (gives(json_object_array_get_idx(list, i), type, id, path))
			return true;
	return false;
}

/* Gives or takes away our role on path. user or token may be NULL. */
static int change_permission(struct setup *s, const char *path, const char *user, const char *token, bool remove)
{
	char fields[REQUEST_FIELDS_MAX] = "";

	request_add(fields, "path", path);
	request_add(fields, "roles", SETUP_ROLE);
	if (user)
		request_add(fields, "users", user);
	if (token)
		request_add(fields, "tokens", token);
	if (remove)
		request_add(fields, "delete", "1");
	return request_send(s, API_PUT, PATH_ACL, fields);
}

static bool is_wanted(const struct setup *s, const char *path)
{
	for (size_t i = 0; i < s->options.n_paths; i++)
		if (strcmp(s->options.paths[i], path) == 0)
			return true;
	return false;
}

static int give_permission(struct setup *s, struct json_object *list, const char *id, const char *path)
{
	int rc = EX_OK;

	if (is_given(list, "user", SETUP_USER, path) && is_given(list, "token", id, path)) {
		report_step("permission", "kept " SETUP_ROLE " on %s", path);
		return EX_OK;
	}
	rc = change_permission(s, path, SETUP_USER, id, false);
	if (rc == EX_OK)
		report_step("permission", "gave user and token " SETUP_ROLE " on %s", path);
	return rc;
}

/* Gives the permissions on the paths of the options, and takes the token's others away. Without
 * paths, those that the token has are kept, so that a second run does not extend them. */
static int make_permissions(struct setup *s)
{
	struct json_object *answer, *list;
	char id[ID_MAX];
	int rc = request_list(&s->api, PATH_ACL, "", &answer, &list);

	if (rc != EX_OK)
		return rc;
	token_id(s, id);
	for (size_t i = 0; rc == EX_OK && i < s->options.n_paths; i++)
		rc = give_permission(s, list, id, s->options.paths[i]);
	for (size_t i = 0; rc == EX_OK && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *path = request_text(entry, "path");

		if (!gives(entry, "token", id, NULL) || is_wanted(s, path))
			continue;
		if (s->options.n_paths == 0) {
			rc = give_permission(s, list, id, path);
			continue;
		}
		rc = change_permission(s, path, NULL, id, true);
		if (rc == EX_OK)
			report_step("permission", "took " SETUP_ROLE " on %s away from the token", path);
	}
	if (rc == EX_OK && s->options.n_paths == 0 && !is_given(list, "token", id, NULL))
		rc = give_permission(s, list, id, "/vms");
	strict_json_wipe(answer);
	return rc;
}

int rights_make(struct setup *s)
{
	struct json_object *answer = NULL, *user = NULL;
	int rc = make_role(s);

	if (rc == EX_OK)
		rc = find_user(s, &answer, &user);
	if (rc == EX_OK)
		rc = make_user(s, user);
	if (rc == EX_OK)
		rc = make_token(s, user);
	strict_json_wipe(answer);
	return rc == EX_OK ? make_permissions(s) : rc;
}

/* --- removal ------------------------------------------------------------------------------ */

/* Takes our role away from the user or token id, wherever it has it. */
static int take_permissions(struct setup *s, const char *type, const char *id)
{
	const bool user = strcmp(type, "user") == 0;
	struct json_object *answer, *list;
	int rc = request_list(&s->api, PATH_ACL, "", &answer, &list);

	if (rc != EX_OK)
		return rc;
	for (size_t i = 0; rc == EX_OK && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *path = request_text(entry, "path");

		if (!gives(entry, type, id, NULL))
			continue;
		rc = change_permission(s, path, user ? id : NULL, user ? NULL : id, true);
		if (rc == EX_OK)
			report_step("permission", "took " SETUP_ROLE " on %s away from the %s", path, type);
	}
	strict_json_wipe(answer);
	return rc;
}

/* Sets *ret_gone to whether the token is not there any more. */
static int remove_token(struct setup *s, struct json_object *token, bool *ret_gone)
{
	char path[ID_MAX], id[ID_MAX], comment[COMMENT_MAX];
	int rc;

	*ret_gone = true;
	if (!token)
		return EX_OK;
	if (strcmp(request_text(token, "comment"), token_comment(s, comment)) != 0) {
		*ret_gone = false;
		report_step("token", "left %s, which was not made on this machine", token_id(s, id));
		return EX_OK;
	}
	rc = take_permissions(s, "token", token_id(s, id));
	if (rc == EX_OK)
		rc = request_send(s, API_DELETE, token_path(s, path), "");
	if (rc == EX_OK)
		report_step("token", "removed %s", id);
	return rc;
}

static int remove_user(struct setup *s, struct json_object *user)
{
	int rc = take_permissions(s, "user", SETUP_USER);

	if (rc != EX_OK)
		return rc;
	if (strcmp(request_text(user, "comment"), RIGHTS_COMMENT) != 0) {
		report_step("user", "left " SETUP_USER ", which proxxy-setup has not made");
		return EX_OK;
	}
	rc = request_send(s, API_DELETE, PATH_USERS "/" SETUP_USER, "");
	if (rc == EX_OK)
		report_step("user", "removed " SETUP_USER);
	return rc;
}

/* Removes the role, unless somebody has it or its privileges were changed. */
static int remove_role(struct setup *s)
{
	struct json_object *answer, *list, *role;
	bool used, ours;
	int rc = request_list(&s->api, PATH_ACL, "", &answer, &list);

	if (rc != EX_OK)
		return rc;
	used = request_find(list, "roleid", SETUP_ROLE) != NULL;
	strict_json_wipe(answer);
	rc = request_list(&s->api, PATH_ROLES, "", &answer, &list);
	if (rc != EX_OK)
		return rc;
	role = request_find(list, "roleid", SETUP_ROLE);
	ours = strcmp(request_text(role, "privs"), SETUP_PRIVILEGES) == 0;
	if (role && !used && ours)
		rc = request_send(s, API_DELETE, PATH_ROLES "/" SETUP_ROLE, "");
	if (role && rc == EX_OK)
		report_step("role", "%s " SETUP_ROLE "%s", used || !ours ? "left" : "removed",
			    used  ? ", which others have" :
			    !ours ? ", whose privileges were changed" :
				    "");
	strict_json_wipe(answer);
	return rc;
}

int rights_remove(struct setup *s)
{
	struct json_object *answer, *user, *token;
	bool gone = false, others = false;
	int rc = find_user(s, &answer, &user);

	if (rc != EX_OK)
		return rc;
	token = find_token(s, user, &others);
	rc = remove_token(s, token, &gone);
	if (rc == EX_OK && user && gone && !others)
		rc = remove_user(s, user);
	else if (rc == EX_OK && others)
		report_step("user", "left " SETUP_USER ", which has another token");
	strict_json_wipe(answer);
	return rc == EX_OK && gone && !others ? remove_role(s) : rc;
}
