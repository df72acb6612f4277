/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the keys that the backend and proxxy share: from a systemd credential, a file, or the
 * setting SIGNATURE_KEY. Each holds one key of 64 hex digits, or several "kid:hex" separated by
 * commas. The first key seals; all keys open.
 */
#ifndef PROXXY_KEYS_H
#define PROXXY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "lib/settings.h"

enum {
	KEYS_MAX = 8,      /* the current key, and old keys whose payloads are still accepted */
	KEY_NAME_MAX = 32, /* characters of a key's name, its kid */
};

#define KEY_FILE "/etc/proxxy/signature.key" /* PROXXY_KEY_FILE's default */

struct key {
	char kid[KEY_NAME_MAX + 1];  /* "" if it has no name */
	uint8_t key[CRYPTO_KEY_LEN]; /* secret */
};

/* The parse functions of SIGNATURE_KEY and PROXXY_KEY_FILE in a table of settings. They keep the
 * value in static memory, for keys_load(). Each returns false if the value is too long. */
bool keys_parse_text(void *config, const struct setting *s, const char *value);
bool keys_parse_file(void *config, const struct setting *s, const char *value);

/* Loads the keys from the first source that exists, in this order: credential, file, SIGNATURE_KEY.
 * Call it once, after the settings are loaded. It calls keys_wipe() in any case.
 * Returns 0 and 1 to KEYS_MAX keys, which the caller wipes. Otherwise returns ERR_CONFIG, and a
 * sentence for the log in why[0..size) that holds no secret. */
int keys_load(struct key keys[KEYS_MAX], size_t *ret_n, char *why, size_t size);

/* Overwrites the value of SIGNATURE_KEY, in static memory and in the environment. If the settings
 * cannot be loaded, the caller must call it instead of keys_load(). */
void keys_wipe(void);

/* Writes to text[0..size) who may read the file at path, such as a group, for an error message
 * after EACCES: a part of a sentence that begins with ';', or "" if the file's status is unknown.
 * Returns text. */
const char *keys_who_may_read(const char *path, char *text, size_t size);

/* Returns true if s[0..len) can be the name of a key: 1 to KEY_NAME_MAX letters, digits, '-', '_'
 * or '.'. */
bool keys_name_valid(const char *s, size_t len);

#endif
