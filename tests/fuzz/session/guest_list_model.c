/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks guest_list.h for fuzz_upstream.c (the linker's --wrap): a second reader has the whole list at
 * once.
 */
#include <json-c/json.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "session/guest_list.h"
#include "tests/fuzz/session/world.h"

/* A list as a whole, for a second reader. */
static char list_text[WORLD_BYTES_MAX];
static size_t n_list;

void __real_guest_list_begin(struct guest_list *list, uint32_t vmid, const char *type);
void __wrap_guest_list_begin(struct guest_list *list, uint32_t vmid, const char *type);
void __wrap_guest_list_begin(struct guest_list *list, uint32_t vmid, const char *type)
{
	n_list = 0;
	__real_guest_list_begin(list, vmid, type);
}

int __real_guest_list_read(struct guest_list *list, const char *buf, size_t len);
int __wrap_guest_list_read(struct guest_list *list, const char *buf, size_t len);
int __wrap_guest_list_read(struct guest_list *list, const char *buf, size_t len)
{
	REQUIRE(n_list + len <= sizeof(list_text), "%zu bytes", n_list + len);
	if (len > 0)
		memcpy(list_text + n_list, buf, len);
	n_list += len;
	return __real_guest_list_read(list, buf, len);
}

static bool is_text(struct json_object *element, const char *name, const char *text)
{
	size_t len;
	const char *value = strict_json_string(element, name, &len);

	return value && strcmp(value, text) == 0;
}

/* Requires that the list, which is JSON as a whole, was read as the second reader reads it. */
static void require_list(const struct guest_list *list, struct json_object *data)
{
	enum guest_place place = GUEST_MISSING;

	for (size_t i = 0; i < json_object_array_length(data); i++) {
		struct json_object *element = json_object_array_get_idx(data, i);

		if (strict_json_number(element, "vmid", CONSOLE_VMID_MAX) != list->vmid)
			continue;
		if (!is_text(element, "type", list->type)) {
			place = place == GUEST_FOUND ? GUEST_FOUND : GUEST_OTHER_TYPE;
			continue;
		}
		REQUIRE(place != GUEST_FOUND, "the guest is in the list twice");
		place = GUEST_FOUND;
		REQUIRE(is_text(element, "node", list->node), "node %s", list->node);
		REQUIRE(is_text(element, "status", "stopped") == (list->status == GUEST_STOPPED), "stopped");
		REQUIRE((strict_json_number(element, "template", 1) == 1) == list->is_template, "template");
	}
	REQUIRE(place == list->place, "%d, and the second reader says %d", list->place, place);
}

int __real_guest_list_end(struct guest_list *list);
int __wrap_guest_list_end(struct guest_list *list);
int __wrap_guest_list_end(struct guest_list *list)
{
	const int rc = __real_guest_list_end(list);
	struct json_object *whole = strict_json_parse_up_to(sizeof(list_text), list_text, n_list), *data = NULL;

	if (whole && json_object_object_get_ex(whole, "data", &data) && json_object_is_type(data, json_type_array)) {
		REQUIRE(rc == OK, "%.*s", (int)n_list, list_text);
		require_list(list, data);
	} else if (whole) {
		REQUIRE(rc < 0, "%.*s", (int)n_list, list_text);
	}
	strict_json_wipe(whole);
	return rc;
}
