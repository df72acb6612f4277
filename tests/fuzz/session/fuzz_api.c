/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what reads the answers of Proxmox's API: guest_list.h and api_answer.h. The first byte
 * chooses the answer, and the second the size of the pieces of a list, or the status of a refusal.
 */
#include "tests/fuzz/fuzz.h"

#include <json-c/json.h>

#include "lib/error.h"
#include "lib/host.h"
#include "lib/strict_json.h"
#include "session/api_answer.h"
#include "session/guest_list.h"

#define SECRET "0123-secret-89"

/* --- the list of guests --------------------------------------------------------------------- */

/* Reads the list in pieces of that size. Returns the list's result. */
static int read_list(struct guest_list *list, const char *text, size_t len, size_t size)
{
	int rc = OK;

	guest_list_begin(list, 100, "qemu");
	for (size_t at = 0, n; rc == OK && at < len; at += n) {
		char *piece;

		n = len - at < size ? len - at : size;
		piece = malloc(n); /* of its own size, for the address sanitizer */
		memcpy(piece, text + at, n);
		rc = guest_list_read(list, piece, n);
		free(piece);
	}
	REQUIRE(rc == OK || rc == ERR_UPSTREAM_ANSWER, "%d", rc);
	return rc == OK ? guest_list_end(list) : rc;
}

/* Compares the result with that of a parser that has the whole text. */
static void compare(const struct guest_list *list, struct json_object *whole)
{
	struct json_object *data, *vmid;
	enum guest_place place = GUEST_MISSING;
	const char *node = "";

	REQUIRE(json_object_object_get_ex(whole, "data", &data) && json_object_is_type(data, json_type_array), "data");
	for (size_t i = 0; i < json_object_array_length(data); i++) {
		struct json_object *element = json_object_array_get_idx(data, i);
		size_t len;

		if (strict_json_number(element, "vmid", CONSOLE_VMID_MAX) != 100)
			continue;
		REQUIRE(json_object_object_get_ex(element, "vmid", &vmid), "vmid");
		/* 1e2 and a string with escapes are 100 too: guest_list.h looks for digits. */
		if (!json_object_is_type(vmid, json_type_int))
			return;
		if (strcmp(strict_json_string(element, "type", &len), "qemu") == 0) {
			REQUIRE(place != GUEST_FOUND, "twice");
			place = GUEST_FOUND;
			node = strict_json_string(element, "node", &len);
		} else if (place == GUEST_MISSING) {
			place = GUEST_OTHER_TYPE;
		}
	}
	REQUIRE(list->place == place, "%d, not %d", list->place, place);
	REQUIRE(place != GUEST_FOUND || strcmp(list->node, node) == 0, "%s, not %s", list->node, node);
}

static void guests(const char *text, size_t len, size_t size)
{
	static struct guest_list list, pieces;
	const int rc = read_list(&list, text, len, len ? len : 1);
	struct json_object *whole;

	REQUIRE(read_list(&pieces, text, len, size) == rc, "pieces of %zu: not %d", size, rc);
	if (rc < 0)
		return;
	REQUIRE(list.place == pieces.place && list.status == pieces.status && list.is_template == pieces.is_template &&
			strcmp(list.node, pieces.node) == 0,
		"pieces of %zu", size);
	REQUIRE(list.place != GUEST_FOUND || host_is_name(list.node, strlen(list.node)), "node %s", list.node);
	/* NULL: nested too deep, or a member beside "data" is no JSON. */
	whole = strict_json_parse_up_to(GUEST_LIST_MAX, text, len);
	if (whole)
		compare(&list, whole);
	strict_json_wipe(whole);
}

/* --- the other answers ---------------------------------------------------------------------- */

static bool has_controls(const char *s)
{
	for (; *s; s++)
		if ((uint8_t)*s < 0x20 || *s == 0x7F)
			return true;
	return false;
}

static void console(const char *text, size_t len, bool terminal)
{
	static struct console c, before;
	const char *why = NULL;
	int rc;

	memset(&c, 0, sizeof(c));
	c.terminal = terminal;
	memcpy(&before, &c, sizeof(c));
	rc = api_answer_console(text, len, &c, &why);
	if (rc < 0) {
		REQUIRE(rc == ERR_UPSTREAM_ANSWER && why && *why, "%d", rc);
		REQUIRE(memcmp(&c, &before, sizeof(c)) == 0, "written without success");
		return;
	}
	REQUIRE(c.vnc_port > 0, "port");
	REQUIRE(*c.vncticket && strnlen(c.vncticket, sizeof(c.vncticket)) <= CONSOLE_VNCTICKET_MAX &&
			!has_controls(c.vncticket),
		"ticket");
	REQUIRE(strnlen(c.user, sizeof(c.user)) <= CONSOLE_USER_MAX && !strchr(c.user, ':') && !has_controls(c.user),
		"user");
	REQUIRE(!*c.user == !terminal, "user");
	REQUIRE(strnlen(c.password, sizeof(c.password)) <= CONSOLE_PASSWORD_MAX && !has_controls(c.password),
		"password");
	REQUIRE(!*c.password == terminal, "password");
}

static void refusal(struct input *in, int status)
{
	static const struct console c = { .ticket = "PVEAPIToken=u@pve!t=" SECRET };
	struct api_refusal r;
	size_t phrase_len, len;
	const uint8_t *phrase = take_bytes(in, take_byte(in), &phrase_len);
	const uint8_t *body = take_bytes(in, API_ANSWER_MAX, &len);

	memset(&r, 0xEE, sizeof(r));
	api_answer_refusal(&c, status, (struct slice){ (const char *)phrase, phrase_len }, (const char *)body, len, &r);
	REQUIRE(r.known && r.hint && memchr(r.words, '\0', sizeof(r.words)), "no words");
	REQUIRE(!has_controls(r.words) && !strpbrk(r.words, "\"="), "%s", r.words);
	REQUIRE(!strstr(r.words, SECRET), "%s", r.words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t mode = take_byte(&in), number = take_byte(&in);
	const uint8_t *text;
	size_t len;
	int rc;

	if ((mode & 3) == 3) {
		refusal(&in, 400 + number);
		return 0;
	}
	text = take_bytes(&in, API_ANSWER_MAX, &len);
	switch (mode & 3) {
	case 0:
		guests((const char *)text, len, 1U + number);
		break;
	case 1:
		console((const char *)text, len, mode & 4);
		break;
	default:
		rc = api_answer_release((const char *)text, len);
		REQUIRE(rc == ERR_UPSTREAM_ANSWER || (rc >= 0 && rc < 100000), "%d", rc);
	}
	return 0;
}
