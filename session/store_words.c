/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps the errors of Redis and Valkey to words for the log. store.c calls it.
 */
#include "session/store_words.h"

#include <stdio.h>
#include <string.h>

enum { CODE_MAX = 16 }; /* letters of a code that is not in the table */

/* The first entry counts whose text is the beginning of the error or, after an '*', is anywhere in
 * it: a script's errors have text before theirs. */
static const struct {
	const char *text, *words;
} table[] = {
	{ "NOAUTH", "it wants a password: set PROXXY_STORE_SECRET_FILE" },
	{ "WRONGPASS", "it refuses the user or the password" },
	{ "ERR invalid password", "it refuses the password" },
	{ "ERR AUTH", "it has no password, so proxxy must have none" },
	{ "ERR Client sent AUTH", "it has no password, so proxxy must have none" },
	{ "NOPERM", "its user may not use a command or key that proxxy needs (ACL)" },
	{ "*can't run this command", "its user may not use a command or key that proxxy needs (ACL)" },
	{ "MOVED", "it is a cluster, which proxxy cannot use: name a single server" },
	{ "ASK", "it is a cluster, which proxxy cannot use: name a single server" },
	{ "CLUSTERDOWN", "it is a cluster, which proxxy cannot use: name a single server" },
	{ "ERR SELECT is not allowed in cluster mode",
	  "it is a cluster, which proxxy cannot use: name a single server" },
	{ "*READONLY", "it is a read-only replica: name the primary server" },
	{ "MASTERDOWN", "it is a replica that has lost its primary server" },
	{ "*OOM", "its memory is full (maxmemory)" },
	{ "*MISCONF", "it cannot save its data to disk, so it accepts no change" },
	{ "LOADING", "it is still loading its data" },
	{ "BUSY", "it is busy with a script" },
	{ "*NOREPLICAS", "too few of its replicas are connected (min-replicas-to-write)" },
	{ "DENIED", "it accepts connections from its own machine only (protected-mode)" },
	{ "ERR max number of clients", "it accepts no more connections (maxclients)" },
	{ "ERR DB index", "it has no database of that number" },
	{ "ERR invalid DB index", "it has no database of that number" },
};

void store_words(const char *error, const char *command, char *why, size_t size)
{
	size_t code = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *text = table[i].text;

		if (*text == '*' ? strstr(error, text + 1) != NULL : strncmp(error, text, strlen(text)) == 0) {
			snprintf(why, size, "%s", table[i].words);
			return;
		}
	}
	while (code < CODE_MAX && error[code] >= 'A' && error[code] <= 'Z')
		code++;
	if (code == 0 || code == CODE_MAX || (error[code] != ' ' && error[code] != '\0'))
		snprintf(why, size, "it refuses the command %s", command);
	else
		snprintf(why, size, "it refuses the command %s (%.*s)", command, (int)code, error);
}
