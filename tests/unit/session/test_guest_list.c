/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests guest_list.h: lists as Proxmox sends them, and malformed ones, in one piece, cut at each
 * byte, and byte by byte, always up to an unreadable page; and a list of a megabyte.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "session/guest_list.h"

#define VM(vmid, node) "{\"vmid\":" #vmid ",\"type\":\"qemu\",\"node\":\"" node "\",\"status\":\"running\"}"
#define CT(vmid, node) "{\"vmid\":" #vmid ",\"type\":\"lxc\",\"node\":\"" node "\",\"status\":\"stopped\"}"
#define LIST(elements) "{\"data\":[" elements "]}"

static struct guard in;
static struct guest_list list;

/* Reads text in pieces that end at cut and at the end; piece > 0: in pieces of that size. Returns
 * the list's result. */
static int read_list(const char *text, size_t len, size_t cut, size_t piece)
{
	int rc = OK;

	guest_list_begin(&list, 100, "qemu");
	for (size_t at = 0, n; at < len && rc == OK; at += n) {
		n = piece ? piece : at < cut ? cut - at : len - at;
		if (n > len - at)
			n = len - at;
		rc = guest_list_read(&list, guard_copy(&in, text + at, n), n);
	}
	return rc == OK ? guest_list_end(&list) : rc;
}

static const struct {
	const char *text;
	int want; /* a guest_place, or an error */
	const char *node;
	int status;
	bool is_template;
} table[] = {
	{ LIST(""), GUEST_MISSING, "", 0, false },
	{ " \t\r\n{ \"data\" : [ ] } \n", GUEST_MISSING, "", 0, false },
	{ LIST(VM(100, "pve01")), GUEST_FOUND, "pve01", GUEST_RUNNING, false },
	{ LIST(VM(101, "pve01") "," VM(100, "pve02") "," CT(102, "pve03")), GUEST_FOUND, "pve02", GUEST_RUNNING,
	  false },
	{ LIST(VM(101, "pve01") "," CT(102, "pve03")), GUEST_MISSING, "", 0, false },
	{ LIST(CT(100, "pve01")), GUEST_OTHER_TYPE, "", 0, false },
	{ LIST(CT(100, "pve01") "," VM(100, "pve02")), GUEST_FOUND, "pve02", GUEST_RUNNING, false },
	{ LIST(VM(100, "pve02") "," CT(100, "pve01")), GUEST_FOUND, "pve02", GUEST_RUNNING, false },
	{ LIST("{\"id\":\"qemu/100\",\"vmid\":100,\"cpu\":0.0123,\"maxmem\":2147483648,\"name\":\"a \\\"b\\\" [{]\","
	       "\"node\":\"pve\\u00301\",\"status\":\"unknown\",\"tags\":\"x;y\",\"template\":1,\"type\":\"qemu\"}"),
	  GUEST_FOUND, "pve01", GUEST_UNKNOWN, true },
	{ LIST("{\"vmid\":\"100\",\"type\":\"qemu\",\"node\":\"a\",\"template\":\"1\",\"status\":\"paused\"}"),
	  GUEST_FOUND, "a", GUEST_STATUS_OTHER, true },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":\"a\",\"template\":0}"), GUEST_FOUND, "a", GUEST_STATUS_OTHER,
	  false },
	/* Elements without the vmid's digits are not parsed. */
	{ LIST("{\"vmid\":1e2,\"type\":\"qemu\",\"node\":\"a\"}"), GUEST_MISSING, "", 0, false },
	{ LIST("{\"vmid\":101,\"x\":\"\xFF\",}," VM(100, "b")), GUEST_FOUND, "b", GUEST_RUNNING, false },
	/* Elements without vmid are no guests. */
	{ LIST("{\"id\":\"node/pve\",\"type\":\"node\",\"node\":\"a\"}," VM(100, "b")), GUEST_FOUND, "b", GUEST_RUNNING,
	  false },
	{ LIST("{}," VM(100, "b")), GUEST_FOUND, "b", GUEST_RUNNING, false },
	{ LIST(VM(1000, "a") "," VM(10, "a") ",{\"vmid\":\"1e2\"},{\"vmid\":-100},{\"vmid\":4294967396}"),
	  GUEST_MISSING, "", 0, false },
	/* Only the member "data" of the outer object counts. */
	{ "{\"total\":1,\"data\":[" VM(100, "b") "],\"changes\":null}", GUEST_FOUND, "b", GUEST_RUNNING, false },
	{ "{\"a\":{\"data\":[" VM(100, "x") "]},\"b\":[\"]}\",[],{\"c\":\"\\\"}\"}],\"data\":[" VM(100, "b") "]}",
	  GUEST_FOUND, "b", GUEST_RUNNING, false },
	{ "{\"a\":\"\\\",\\\"data\\\":[\",\"data\":[" VM(100, "b") "]}", GUEST_FOUND, "b", GUEST_RUNNING, false },
	{ "{\"datas\":[],\"dat\":[],\"da\\ta\":[],\"a-long-name-that-is-cut-off\":1,\"data\":[]}", GUEST_MISSING, "", 0,
	  false },
	{ LIST("{\"a\":{\"vmid\":100,\"type\":\"qemu\",\"node\":\"x\"}}"), GUEST_MISSING, "", 0, false },
	/* Not the list. */
	{ "", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "[]", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "<html>", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":null}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":{}}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":[1]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":[[]]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":[" VM(100, "a"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":[" VM(100, "a") "]", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST(VM(100, "a") ","), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("," VM(100, "a")), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST(VM(100, "a") VM(101, "a")), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST(VM(100, "a")) "x", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST(VM(100, "a")) "{}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":[],\"data\":[" VM(100, "a") "]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"data\":[],}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{,\"data\":[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"a\":,\"data\":[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"a\":},\"data\":[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"a\":],\"data\":[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"a\":1],\"data\":[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{\"a\"1,\"data\":[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ "{data:[]}", ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":\"a\",}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100]"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":\"a\",\"x\":\"\xFF\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":101,\"x\":100,\"y\":\"\xFF\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	/* The guest, but not as it must be. */
	{ LIST("{\"vmid\":100,\"type\":\"qemu\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":\"\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":\"a/b\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":\"a\\r\\nb\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"qemu\",\"node\":1}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"type\":\"openvz\",\"node\":\"a\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST("{\"vmid\":100,\"node\":\"a\"}"), ERR_UPSTREAM_ANSWER, "", 0, false },
	{ LIST(VM(100, "a") "," VM(100, "b")), ERR_UPSTREAM_ANSWER, "", 0, false },
};

static void check_row(size_t i, size_t cut, size_t piece)
{
	const char *text = table[i].text;
	const int rc = read_list(text, strlen(text), cut, piece);

	CHECK_INT(rc, table[i].want < 0 ? table[i].want : OK, "%s, cut at %zu, pieces of %zu", text, cut, piece);
	if (rc < 0)
		return;
	CHECK_INT(list.place, table[i].want, "%s, cut at %zu", text, cut);
	if (list.place != GUEST_FOUND)
		return;
	CHECK(strcmp(list.node, table[i].node) == 0, "%s, cut at %zu: %s", text, cut, list.node);
	CHECK_INT(list.status, table[i].status, "%s, cut at %zu", text, cut);
	CHECK_INT(list.is_template, table[i].is_template, "%s, cut at %zu", text, cut);
}

static void lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		for (size_t cut = 0; cut <= strlen(table[i].text); cut++)
			check_row(i, cut, 0);
		check_row(i, 0, 1);
	}
}

/* Writes an element of exactly size bytes for vmid. */
static size_t make_element(char *text, unsigned vmid, size_t size)
{
	size_t n =
		(size_t)sprintf(text, "{\"vmid\":%u,\"type\":\"qemu\",\"node\":\"pve%u\",\"name\":\"", vmid, vmid % 7);

	memset(text + n, 'x', size - n - 2);
	memcpy(text + size - 2, "\"}", 2);
	return size;
}

static void limits(void **state)
{
	static char text[2 * GUARD_MAX];
	size_t len;

	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		len = (size_t)sprintf(text, "{\"data\":[");
		len += make_element(text + len, 100, GUEST_ELEMENT_MAX + over);
		len += (size_t)sprintf(text + len, "]}");
		CHECK_INT(read_list(text, len, 0, 4096), OK, "8 KiB and %zu", over);
		CHECK_INT(list.place, over ? GUEST_MISSING : GUEST_FOUND, "8 KiB and %zu", over);
		CHECK_INT(list.has_long, over, "8 KiB and %zu", over);
		CHECK(over || strcmp(list.node, "pve2") == 0, "8 KiB");
	}

	/* A long element is not the end of the others. Its tags may have brackets. */
	len = (size_t)sprintf(text, "{\"data\":[");
	len += make_element(text + len, 101, 20000);
	memcpy(text + len - 3000, "]}{\\\"100", 8);
	len += (size_t)sprintf(text + len, "," VM(100, "pve9") "]}");
	for (size_t piece = 1; piece < 20000; piece = piece * 3 + 1) {
		CHECK_INT(read_list(text, len, 0, piece), OK, "pieces of %zu", piece);
		CHECK(list.place == GUEST_FOUND && strcmp(list.node, "pve9") == 0, "pieces of %zu", piece);
	}

	/* 2,000 guests in a megabyte, the wanted one last. */
	len = (size_t)sprintf(text, "{\"data\":[");
	for (unsigned vmid = 2099; vmid >= 100; vmid--) {
		len += make_element(text + len, vmid, 530);
		text[len++] = vmid > 100 ? ',' : ']';
	}
	text[len++] = '}';
	assert_true(len > GUARD_MAX);
	CHECK_INT(read_list(text, len, 0, 8192), OK, "2000 guests");
	CHECK(list.place == GUEST_FOUND && strcmp(list.node, "pve2") == 0, "2000 guests");
	CHECK_INT(list.total, len, "2000 guests");

	/* A list without end. */
	memset(text, ' ', 65536);
	guest_list_begin(&list, 100, "qemu");
	for (size_t n = 0; n < GUEST_LIST_MAX; n += 65536)
		CHECK_INT(guest_list_read(&list, text, 65536), OK, "%zu bytes", n);
	CHECK_INT(guest_list_read(&list, text, 1), ERR_UPSTREAM_ANSWER, "16 MiB and a byte");
	assert_true(sizeof(list) < GUEST_ELEMENT_MAX + 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(limits),
	};

	return RUN(tests);
}
