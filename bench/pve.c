/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements pve.h: what Proxmox's API answers to proxxy.
 */
#include "bench/pve.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peer.h"

enum {
	GUESTS = 200,          /* in the list of guests; the last one is that of the payload */
	GUEST = 100,           /* its vmid */
	ANSWER_MAX = 1 << 17,  /* bytes of an answer; the list of guests has 74 KiB */
	CERT_LINES = 31,       /* of 64 characters, of the CA's certificate: makes vncproxy's answer 2.6 KiB */
	SIGNATURE_LEN = 344,   /* characters of the ticket's signature: RSA with 2048 bits, base64 */
	LENGTH_FIELD_LEN = 80, /* bytes that are enough for a Content-Length */
};

struct text {
	char bytes[ANSWER_MAX];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->bytes + t->len, sizeof(t->bytes) - t->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(t->bytes) - t->len)
		die("an answer is too large");
	t->len += (size_t)n;
}

static void add_repeated(struct text *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(t, "%c", "MIIFtTCCA52gAwIBAgIU"[i % 20]);
}

/* Puts the head before a body, as pveproxy sends it. */
static void complete(struct text *answer, const struct text *body)
{
	add(answer,
	    "HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nConnection: Keep-Alive\r\n"
	    "Date: Thu, 26 Nov 2026 04:00:00 GMT\r\nPragma: no-cache\r\nServer: pve-api-daemon/3.0\r\n"
	    "Content-Length: %zu\r\nContent-Type: application/json;charset=UTF-8\r\n"
	    "Expires: Thu, 26 Nov 2026 04:00:00 GMT\r\n\r\n%s",
	    body->len, body->bytes);
}

static void write_version(struct text *body)
{
	add(body, "{\"data\":{\"release\":\"9.2\",\"repoid\":\"6f1c5bd03c8f4a3e\",\"version\":\"9.2.1\"}}");
}

static void write_guests(struct text *body)
{
	add(body, "{\"data\":[");
	for (int i = 1; i <= GUESTS; i++) {
		const int vmid = i < GUESTS ? GUEST + i : GUEST;

		add(body,
		    "%s{\"cpu\":0.0123456789012345,\"disk\":0,\"diskread\":123456789012,\"diskwrite\":987654321098,"
		    "\"id\":\"qemu/%d\",\"maxcpu\":4,\"maxdisk\":34359738368,\"maxmem\":8589934592,"
		    "\"mem\":4294967296,\"memhost\":4831838208,\"name\":\"guest-%d.example.com\",\"netin\":12345678901,"
		    "\"netout\":10987654321,\"node\":\"pve%02d\",\"status\":\"running\",\"tags\":\"production;web\","
		    "\"template\":0,\"type\":\"qemu\",\"uptime\":1234567,\"vmid\":%d}",
		    i > 1 ? "," : "", vmid, vmid, 1 + i % 4, vmid);
	}
	add(body, "]}");
}

static void write_console(struct text *body)
{
	add(body, "{\"data\":{\"cert\":\"-----BEGIN CERTIFICATE-----\\n");
	for (int i = 0; i < CERT_LINES; i++) {
		add_repeated(body, 64);
		add(body, "\\n");
	}
	add(body,
	    "-----END CERTIFICATE-----\\n\",\"password\":\"aB3$xyzq\",\"port\":\"%d\","
	    "\"ticket\":\"aB3$xyzq:PVEVNC:65A1B2C3::",
	    VNC_PORT);
	add_repeated(body, SIGNATURE_LEN);
	add(body,
	    "\",\"upid\":\"UPID:pve01:000F4240:05F5E100:65A1B2C3:vncproxy:%d:proxxy@pve!console:\","
	    "\"user\":\"proxxy@pve!console\"}}",
	    GUEST);
}

static bool has(const uint8_t *bytes, size_t size, const char *word)
{
	return memmem(bytes, size, word, strlen(word)) != NULL;
}

size_t pve_request_size(const uint8_t *in, size_t len)
{
	static const char name[] = "\r\nContent-Length: ";
	const uint8_t *end = memmem(in, len, "\r\n\r\n", 4), *field;
	char value[LENGTH_FIELD_LEN] = "0";
	size_t head;

	if (!end)
		return 0;
	head = (size_t)(end + 4 - in);
	field = memmem(in, head, name, strlen(name));
	if (field) /* at least 4 bytes follow the digits */
		snprintf(value, sizeof(value), "%.*s", (int)(end - field) - (int)strlen(name),
			 (const char *)field + strlen(name));
	head += strtoull(value, NULL, 10);
	return head <= len ? head : 0;
}

const char *pve_answer(const uint8_t *request, size_t size, size_t *ret_size)
{
	static const struct {
		const char *word;
		void (*write)(struct text *body);
	} kinds[] = {
		{ "GET /api2/json/version ", write_version },
		{ "GET /api2/json/cluster/resources?type=vm ", write_guests },
		{ "/vncproxy HTTP/1.1\r\n", write_console },
	};
	static struct text answers[sizeof(kinds) / sizeof(kinds[0])];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		static struct text body;

		if (!has(request, size, kinds[i].word))
			continue;
		if (answers[i].len == 0) {
			body.len = 0;
			kinds[i].write(&body);
			complete(&answers[i], &body);
		}
		*ret_size = answers[i].len;
		return answers[i].bytes;
	}
	return NULL;
}

bool pve_is_vnc(const uint8_t *request, size_t size)
{
	char word[32];

	snprintf(word, sizeof(word), "vncwebsocket?port=%d&", VNC_PORT);
	return has(request, size, word);
}
