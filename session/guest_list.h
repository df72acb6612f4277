/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the node that a guest is on, in Proxmox's answer to GET /cluster/resources?type=vm:
 * {"data":[{"vmid":100,"type":"qemu","node":"pve01",…},…]}. With 2,000 guests that is a megabyte,
 * so the answer is read as a stream: only one element is in memory at a time. Pure.
 */
#ifndef PROXXY_GUEST_LIST_H
#define PROXXY_GUEST_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payload.h"

enum {
	GUEST_ELEMENT_MAX = 8 * 1024,      /* bytes of one element; real ones have about 500 */
	GUEST_LIST_MAX = 16 * 1024 * 1024, /* bytes of the list: 30,000 guests */
	GUEST_NAME_MAX = 16,               /* bytes of the name of a member beside "data" that are kept */
};

/* What the list says about a guest. */
enum guest_place {
	GUEST_FOUND,      /* the members below are set */
	GUEST_MISSING,    /* the list does not have it */
	GUEST_OTHER_TYPE, /* it has the vmid, for a guest of the other type */
};

enum guest_status { GUEST_STATUS_OTHER, GUEST_RUNNING, GUEST_STOPPED, GUEST_UNKNOWN /* its node does not answer */ };

/* Where in the text the reader is. */
enum guest_list_state {
	LIST_START, /* before the object */
	LIST_FIRST_NAME,
	LIST_NEXT_NAME,
	LIST_NAME,
	LIST_COLON,
	LIST_VALUE, /* before the value of a member */
	LIST_SKIP,  /* in the value of a member that is not needed */
	LIST_FIRST_ELEMENT,
	LIST_NEXT_ELEMENT,
	LIST_ELEMENT,
	LIST_AFTER_ELEMENT,
	LIST_AFTER_MEMBER,
	LIST_END,
};

/* The state between two pieces. The caller reads the members of the result only. */
struct guest_list {
	/* The result, after guest_list_end(). */
	enum guest_place place;
	enum guest_status status;
	bool is_template;
	bool has_long; /* an element was too long to be read; it may be the guest's */
	char node[CONSOLE_HOST_MAX + 1];

	/* What is looked for. */
	uint32_t vmid;
	char digits[11]; /* the vmid as text */
	const char *type;

	enum guest_list_state state;
	bool in_string, escaped;
	bool has_data; /* the member "data" was there */
	size_t depth;  /* of open brackets in an element, or in a value that is skipped */
	size_t total;  /* bytes read */
	size_t used;   /* bytes of text, or more: the element is too long, and the rest of it is not kept */
	char text[GUEST_ELEMENT_MAX];
};

/* Begins to look for a guest. type is "qemu" or "lxc", in static storage. */
void guest_list_begin(struct guest_list *list, uint32_t vmid, const char *type);

/* Reads the next piece. Returns 0, or ERR_UPSTREAM_ANSWER: it is not such a list, is too large, has
 * the guest twice, or no valid node for it. An element without the digits of the vmid is not the
 * guest's: only its beginning and end are looked for. So with one that is too long, because whoever
 * may configure a guest can give it many tags, and must not be able to hide the others. */
int guest_list_read(struct guest_list *list, const char *buf, size_t len);

/* The list is complete. Returns 0 with the result in *list, or ERR_UPSTREAM_ANSWER if a part is
 * missing. */
int guest_list_end(struct guest_list *list);

#endif
