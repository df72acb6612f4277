/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes session_text.h. The parts of a status text, put together again, must be the text. The name
 * of a unit must have no character that means something in a path, a pattern or a line.
 */
#include "tests/fuzz/fuzz.h"

#include "status/session_text.h"

/* Appends before and part to text, if there is a part. */
static size_t append(char *text, size_t len, const char *before, struct slice part)
{
	if (part.len == 0)
		return len;
	memcpy(text + len, before, strlen(before));
	len += strlen(before);
	memcpy(text + len, part.at, part.len);
	return len + part.len;
}

/* Checks what session_parse() makes of a text, which is NUL-terminated. */
static void check_text(const char *text)
{
	struct session_text t;
	const char *separator = "; ";
	char *again;
	size_t len = 0;

	if (!session_parse(text, &t))
		return;
	REQUIRE(t.type.len && t.vmid.len && t.place.len && slice_is_digits(t.vmid), "%s", text);
	again = malloc(strlen(text) + sizeof(" on  for ; sub , jti , kid "));
	len = append(again, len, "", t.type);
	len = append(again, len, " ", t.vmid);
	len = append(again, len, " on ", t.place);
	len = append(again, len, " for ", t.client);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "sub ", "jti ", "kid " };
		const struct slice part = i == 0 ? t.sub : i == 1 ? t.jti : t.kid;

		if (part.len == 0)
			continue;
		REQUIRE(part.len >= 2 && part.at[0] == '"' && part.at[part.len - 1] == '"', "%s", text);
		len = append(again, len, separator, (struct slice){ names[i], strlen(names[i]) });
		len = append(again, len, "", part);
		separator = ", ";
	}
	REQUIRE(len == strlen(text) && memcmp(again, text, len) == 0, "%s, not %.*s", text, (int)len, again);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (session_is_unit((struct slice){ text, size }))
		REQUIRE(size <= SESSION_UNIT_MAX && strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz"
								 "ABCDEFGHIJKLMNOPQRSTUVWXYZ-:.@") == size,
			"%s", text);
	check_text(text);
	free(text);
	return 0;
}
