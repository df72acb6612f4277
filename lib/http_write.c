/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes HTTP/1.1 answers.
 */
#include "lib/http.h"

#include <stdio.h>
#include <string.h>

#include "lib/error.h"

static const char *reason_phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 426:
		return "Upgrade Required";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

/* Returns snprintf()'s result n, or ERR_SYSTEM if the text was cut off. */
static int written(int n, size_t size)
{
	return n >= 0 && (size_t)n < size ? n : ERR_SYSTEM;
}

int http_write_answer(char *buf, size_t size, int status, const char *extra, const char *body, bool with_body)
{
	const bool has_content = status != 204;
	char length[40] = "";

	if (has_content)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
	return written(snprintf(buf, size,
				"HTTP/1.1 %d %s\r\n"
				"%s%s"
				"Cache-Control: no-store\r\n"
				"X-Content-Type-Options: nosniff\r\n"
				"%s"
				"%s"
				"\r\n"
				"%s",
				status, reason_phrase(status),
				!has_content || strstr(extra, "Content-Type:") ? "" :
										 "Content-Type: application/json\r\n",
				length, extra, strstr(extra, "Connection:") ? "" : "Connection: close\r\n",
				has_content && with_body ? body : ""),
		       size);
}

int http_write_upgrade(char *buf, size_t size, const char *accept, struct slice protocol)
{
	return written(snprintf(buf, size,
				"HTTP/1.1 101 Switching Protocols\r\n"
				"Upgrade: websocket\r\n"
				"Connection: Upgrade\r\n"
				"Sec-WebSocket-Accept: %s\r\n"
				"%s%.*s%s"
				"\r\n",
				accept, protocol.at ? "Sec-WebSocket-Protocol: " : "", (int)protocol.len,
				protocol.at ? protocol.at : "", protocol.at ? "\r\n" : ""),
		       size);
}
