/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads Proxmox's list of guests as a stream. This file only finds where an element begins and
 * ends; strict_json.h parses each element that may be the guest's.
 */
#include "session/guest_list.h"

#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/host.h"
#include "lib/strict_json.h"

void guest_list_begin(struct guest_list *list, uint32_t vmid, const char *type)
{
	memset(list, 0, offsetof(struct guest_list, text));
	list->place = GUEST_MISSING;
	list->vmid = vmid;
	list->type = type;
	snprintf(list->digits, sizeof(list->digits), "%u", vmid);
}

/* --- one element -------------------------------------------------------------------------- */

static enum guest_status read_status(struct json_object *element)
{
	size_t len;
	const char *text = strict_json_string(element, "status", &len);

	if (!text)
		return GUEST_STATUS_OTHER;
	return strcmp(text, "running") == 0 ? GUEST_RUNNING :
	       strcmp(text, "stopped") == 0 ? GUEST_STOPPED :
	       strcmp(text, "unknown") == 0 ? GUEST_UNKNOWN :
					      GUEST_STATUS_OTHER;
}

/* Takes an element with the guest's vmid. One of the other type counts only if there is none of the
 * right one. Returns false if it is not valid. */
static bool take_guest(struct guest_list *list, struct json_object *element)
{
	size_t len;
	const char *type = strict_json_string(element, "type", &len);
	const bool same = type && strcmp(type, list->type) == 0;

	if (!type || (strcmp(type, "qemu") != 0 && strcmp(type, "lxc") != 0))
		return false;
	if (!same && list->place != GUEST_FOUND)
		list->place = GUEST_OTHER_TYPE;
	if (!same)
		return true;
	if (list->place == GUEST_FOUND || !strict_json_copy(element, "node", list->node, sizeof(list->node)) ||
	    !host_is_name(list->node, strlen(list->node)))
		return false;
	list->place = GUEST_FOUND;
	list->status = read_status(element);
	list->is_template = strict_json_number(element, "template", 1) == 1;
	return true;
}

/* Parses the element in list->text, unless it is too long. Returns false if it is not valid. An
 * element without the digits of the vmid is not the guest's and is not parsed: parsing takes twice
 * as long as all the rest. */
static bool take_element(struct guest_list *list)
{
	struct json_object *element;
	bool good;

	if (list->used > sizeof(list->text)) {
		list->has_long = true;
		list->used = 0;
		return true;
	}
	if (!memmem(list->text, list->used, list->digits, strlen(list->digits))) {
		list->used = 0;
		return true;
	}
	element = strict_json_parse(list->text, list->used);
	good = element != NULL;
	if (good && (uint32_t)strict_json_number(element, "vmid", CONSOLE_VMID_MAX) == list->vmid)
		good = take_guest(list, element);
	strict_json_wipe(element);
	list->used = 0;
	return good;
}

/* --- the text around it ------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Goes to the next state if c is wanted. Returns false if it is not. */
static bool take(struct guest_list *list, char c, char wanted, enum guest_list_state next)
{
	list->state = next;
	return c == wanted;
}

/* Follows strings and brackets. Returns true if c, which is not in a string, closes the outermost
 * bracket. */
static bool closes(struct guest_list *list, char c)
{
	if (list->in_string) {
		if (list->escaped)
			list->escaped = false;
		else if (c == '\\')
			list->escaped = true;
		else if (c == '"')
			list->in_string = false;
		return false;
	}
	if (c == '"')
		list->in_string = true;
	else if (c == '{' || c == '[')
		list->depth++;
	else if (c == '}' || c == ']')
		return --list->depth == 0;
	return false;
}

/* Takes a byte of an element, from its opening bracket on. */
static bool take_from_element(struct guest_list *list, char c)
{
	if (list->used < sizeof(list->text))
		list->text[list->used] = c;
	list->used++;
	if (!closes(list, c))
		return true;
	list->state = LIST_AFTER_ELEMENT;
	return take_element(list);
}

/* Takes a byte after a member of the outer object: a comma, or the object's end. */
static bool take_after_member(struct guest_list *list, char c)
{
	if (is_space(c))
		return true;
	list->state = c == ',' ? LIST_NEXT_NAME : LIST_END;
	return c == ',' || c == '}';
}

/* Takes a byte of a value that is not needed. Its text is not checked: only where it ends
 * counts. */
static bool take_from_skipped(struct guest_list *list, char c)
{
	if (list->depth == 0 && !list->in_string && (c == ',' || c == '}'))
		return take_after_member(list, c);
	if (list->depth == 0 && !list->in_string && c == ']')
		return false;
	closes(list, c);
	return true;
}

/* Takes the first byte of a member's value. */
static bool take_value(struct guest_list *list, char c)
{
	const bool is_data = list->used == strlen("data") && memcmp(list->text, "data", list->used) == 0;

	list->used = 0;
	list->depth = 0;
	if (!is_data) {
		list->state = LIST_SKIP;
		return c != ',' && take_from_skipped(list, c) && list->state == LIST_SKIP;
	}
	if (list->has_data)
		return false;
	list->has_data = true;
	return take(list, c, '[', LIST_FIRST_ELEMENT);
}

/* Takes a byte of a member's name. A name that is longer, or has an escape, is not "data". */
static bool take_from_name(struct guest_list *list, char c)
{
	if (list->escaped)
		list->escaped = false;
	else if (c == '\\')
		list->escaped = true;
	else if (c == '"')
		return take(list, c, '"', LIST_COLON);
	if (list->used < GUEST_NAME_MAX)
		list->text[list->used++] = c;
	return true;
}

/* Takes one byte. Returns false if it is not valid here. */
static bool take_byte(struct guest_list *list, char c)
{
	switch (list->state) {
	case LIST_NAME:
		return take_from_name(list, c);
	case LIST_ELEMENT:
		return take_from_element(list, c);
	case LIST_SKIP:
		return take_from_skipped(list, c);
	default:
		break;
	}
	if (is_space(c))
		return true;
	switch (list->state) {
	case LIST_START:
		return take(list, c, '{', LIST_FIRST_NAME);
	case LIST_FIRST_NAME:
		return c == '}' ? take(list, c, '}', LIST_END) : take(list, c, '"', LIST_NAME);
	case LIST_NEXT_NAME:
		return take(list, c, '"', LIST_NAME);
	case LIST_COLON:
		return take(list, c, ':', LIST_VALUE);
	case LIST_VALUE:
		return take_value(list, c);
	case LIST_FIRST_ELEMENT:
		if (c == ']')
			return take(list, c, ']', LIST_AFTER_MEMBER);
		/* fall through */
	case LIST_NEXT_ELEMENT:
		list->state = LIST_ELEMENT;
		return c == '{' && take_from_element(list, c);
	case LIST_AFTER_ELEMENT:
		return c == ',' ? take(list, c, ',', LIST_NEXT_ELEMENT) : take(list, c, ']', LIST_AFTER_MEMBER);
	case LIST_AFTER_MEMBER:
		return take_after_member(list, c);
	default:
		return false;
	}
}

int guest_list_read(struct guest_list *list, const char *buf, size_t len)
{
	list->total += len;
	if (list->total > GUEST_LIST_MAX)
		return ERR_UPSTREAM_ANSWER;
	for (size_t i = 0; i < len; i++)
		if (!take_byte(list, buf[i]))
			return ERR_UPSTREAM_ANSWER;
	return OK;
}

int guest_list_end(struct guest_list *list)
{
	return list->state == LIST_END && list->has_data ? OK : ERR_UPSTREAM_ANSWER;
}
