/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that backend and proxxy share: 64 hex digits, or several "kid:hex" with commas between, the first of which
 * seals. From a systemd credential, a file, or the setting SIGNATURE_KEY.
 */
#ifndef PROXXY_KEYS_H
#define PROXXY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "lib/settings.h"

enum {
	KEYS_MAX = 8,      /* the current one and old ones that still open */
	KEY_NAME_MAX = 32, /* characters of a key's name, its kid */
};

#define KEY_FILE "/etc/proxxy/signature.key" /* PROXXY_KEY_FILE's default */

struct key {
	char kid[KEY_NAME_MAX + 1];  /* "" when it has no name */
	uint8_t key[CRYPTO_KEY_LEN]; /* secret */
};

/* The parse of SIGNATURE_KEY and of PROXXY_KEY_FILE in a table of settings: kept here for keys_load(). */
bool keys_parse_text(void *config, const struct setting *s, const char *value);
bool keys_parse_file(void *config, const struct setting *s, const char *value);

/* Loads the keys from the first source that is there: credential, file, text. Forgets the text, and overwrites
 * SIGNATURE_KEY in the environment.
 * Returns 0 with 1 to KEYS_MAX keys, or ERR_CONFIG with a sentence for the log in why[0..size) that holds no secret. */
int keys_load(struct key keys[KEYS_MAX], size_t *ret_n, char *why, size_t size);

/* Writes to text[0..size) who may read a file that this process may not read, such as which group.
 * It is the end of a sentence; "" if the file's status is unknown. Returns text. */
const char *keys_who_may_read(const char *path, char *text, size_t size);

/* The same without loading: for when the settings could not be read. */
void keys_forget(void);

/* True when s[0..len) may be a key's name: 1 to KEY_NAME_MAX letters, digits, '-', '_' and '.'. */
bool keys_name_valid(const char *s, size_t len);

#endif
