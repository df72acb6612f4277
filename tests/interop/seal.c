/* SPDX-License-Identifier: Apache-2.0
 *
 * Seals standard input with our code and the key in SIGNATURE_KEY, so that other libraries can open
 * it.
 */
#include <stdio.h>

#include "lib/config.h"
#include "lib/error.h"
#include "lib/jwe.h"

int main(void)
{
	static uint8_t plain[16 * 1024];
	static char text[3 * sizeof(plain)], why[256];
	static struct config config;
	size_t len = fread(plain, 1, sizeof(plain), stdin);

	if (config_load(&config, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (jwe_seal(&config.keys[0], plain, len, text, sizeof(text)) < 0)
		return 1;
	return puts(text) < 0;
}
