/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads and parses the keys that the backend and proxxy share.
 */
#include "lib/keys.h"

#include <errno.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/pages.h"

#define CREDENTIAL "signature-key"

/* The values of the two settings. Untouched pages of a static buffer are never allocated. */
static struct {
	char text[SETTINGS_VALUE_MAX]; /* SIGNATURE_KEY; secret */
	char file[SETTINGS_PATH_MAX];
	bool file_is_set;
} source PAGED;

static bool copy_value(char *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return false;
	memcpy(to, value, strlen(value) + 1);
	return true;
}

bool keys_parse_text(void *config, const struct setting *s, const char *value)
{
	(void)config;
	(void)s;
	if (strcmp(source.text, value) == 0)
		return true;                               /* "" in most cases: do not touch the page */
	OPENSSL_cleanse(source.text, strlen(source.text)); /* the value of an earlier file may be longer */
	return copy_value(source.text, sizeof(source.text), value);
}

bool keys_parse_file(void *config, const struct setting *s, const char *value)
{
	(void)config;
	source.file_is_set = strcmp(value, s->fallback) != 0;
	return copy_value(source.file, sizeof(source.file), value);
}

bool keys_name_valid(const char *s, size_t len)
{
	if (len == 0 || len > KEY_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= '0' && s[i] <= '9') &&
		    !strchr("-_.", s[i]))
			return false;
	return true;
}

/* Parses "hex" or "kid:hex,kid:hex,…". Error messages name its source, place. */
static int parse_keys(struct key keys[KEYS_MAX], size_t *ret_n, const char *list, const char *place, char *why,
		      size_t size)
{
	const char *item;
	size_t len, n = 0;

	while ((item = list_next(&list, &len))) {
		const char *colon = memchr(item, ':', len);
		size_t kid_len = colon ? (size_t)(colon - item) : 0;
		const char *hex = colon ? colon + 1 : item;

		if (n == KEYS_MAX)
			return error_why(why, size, ERR_CONFIG, "%s: more than %d keys", place, KEYS_MAX);
		if (colon && !keys_name_valid(item, kid_len))
			return error_why(why, size, ERR_CONFIG,
					 "%s: the name of key %zu is not 1 to %d letters, digits, '-', '_' or '.'",
					 place, n + 1, KEY_NAME_MAX);
		if (crypto_hex(hex, len - (size_t)(hex - item), keys[n].key, sizeof(keys[n].key)) < 0)
			return error_why(why, size, ERR_CONFIG,
					 "%s: key %zu is not 64 hex digits (32 bytes); "
					 "\"openssl rand -hex 32\" makes one",
					 place, n + 1);
		memcpy(keys[n].kid, item, kid_len);
		keys[n].kid[kid_len] = '\0';
		*ret_n = ++n;
	}
	if (n == 0)
		return error_why(why, size, ERR_CONFIG, "%s: there is no key; \"openssl rand -hex 32\" makes one",
				 place);
	return OK;
}

const char *keys_who_may_read(const char *path, char *text, size_t size)
{
	const struct group *group;
	struct stat st;

	text[0] = '\0';
	if (stat(path, &st) < 0)
		return text;
	group = st.st_mode & S_IRGRP ? getgrgid(st.st_gid) : NULL;
	if (group)
		snprintf(text, size, "; root and the group %.32s may read it (\"adduser USER %.32s\" adds a user)",
			 group->gr_name, group->gr_name);
	else
		snprintf(text, size, "; only its owner may read it");
	return text;
}

static int load(struct key keys[KEYS_MAX], size_t *ret_n, char *why, size_t size)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char path[SETTINGS_PATH_MAX + 100] = "", *end, text[SETTINGS_VALUE_MAX];
	bool required = source.file_is_set;
	ssize_t n = -ENOENT;
	int rc;

	if (credentials) {
		snprintf(path, sizeof(path), "%.4095s/" CREDENTIAL, credentials);
		n = settings_read_file(path, text, sizeof(text));
		required |= n != -ENOENT;
	}
	if (n == -ENOENT) {
		snprintf(path, sizeof(path), "%s", source.file);
		n = settings_read_file(path, text, sizeof(text));
	}
	if (n >= 0) {
		end = text + n;
		while (end > text && strchr(" \t\r\n", end[-1]))
			*--end = '\0';
		rc = parse_keys(keys, ret_n, text, path, why, size);
		OPENSSL_cleanse(text, sizeof(text));
		return rc;
	}
	/* It is an error if a configured file, or an existing credential, cannot be read. The
	 * default file is optional. */
	if (source.text[0] && !required)
		return parse_keys(keys, ret_n, source.text, "SIGNATURE_KEY", why, size);
	if (n == -EACCES)
		return error_why(why, size, ERR_CONFIG, "no key: %.300s: %s%s", path, strerror((int)-n),
				 keys_who_may_read(path, text, sizeof(text)));
	return error_why(why, size, ERR_CONFIG, "no key: %s: %s%s; \"openssl rand -hex 32\" makes one", path,
			 strerror((int)-n), source.text[0] ? "" : ", and SIGNATURE_KEY is not set");
}

void keys_wipe(void)
{
	char *environment = getenv("SIGNATURE_KEY");

	OPENSSL_cleanse(source.text, strlen(source.text));
	pages_release(&source, sizeof(source));
	if (environment)
		OPENSSL_cleanse(environment, strlen(environment)); /* the memory that /proc/PID/environ shows */
}

int keys_load(struct key keys[KEYS_MAX], size_t *ret_n, char *why, size_t size)
{
	int rc;

	*ret_n = 0;
	rc = load(keys, ret_n, why, size);
	keys_wipe();
	return rc;
}
