/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts the page for operators together. proxxy-status.c calls it. The Makefile makes page_files.h
 * from status/page/.
 */
#include "status/page.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <status/page_files.h> /* in the build folder */

enum { HOST_MAX = 64 }; /* bytes of this machine's name, with the NUL: HOST_NAME_MAX of Linux */

/* style-src and script-src name what is inside the page; a changed byte of it would not run. There
 * is no HTML in what the script shows, and Trusted Types make sure of it. */
static const char fields[] = "Content-Type: text/html; charset=utf-8\r\n"
			     "Content-Security-Policy: default-src 'none'; script-src 'sha256-" PAGE_SCRIPT_HASH
			     "'; style-src 'sha256-" PAGE_STYLE_HASH "'; connect-src 'self'; base-uri 'none'; "
			     "form-action 'none'; frame-ancestors 'none'; "
			     "require-trusted-types-for 'script'; trusted-types 'none'; img-src data:\r\n"
			     "Referrer-Policy: no-referrer\r\n"
			     "Cross-Origin-Opener-Policy: same-origin\r\n"
			     "Cross-Origin-Resource-Policy: same-origin\r\n"
			     "X-Frame-Options: DENY\r\n";

/* Writes this machine's name, or "" if it has letters that host names do not have. */
static void get_host(char host[HOST_MAX])
{
	if (gethostname(host, HOST_MAX) < 0)
		*host = '\0';
	host[HOST_MAX - 1] = '\0';
	for (const char *c = host; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
			*host = '\0';
}

/* Returns a copy of text with each mark replaced, which the caller frees, or NULL without
 * memory. */
static char *fill(const char *text, const char *mark, const char *with)
{
	const size_t mark_len = strlen(mark), with_len = strlen(with);
	size_t size = strlen(text) + 1;
	const char *found;
	char *filled, *out;

	for (found = strstr(text, mark); found; found = strstr(found + mark_len, mark))
		size += with_len;
	filled = out = malloc(size);
	if (!filled)
		return NULL;
	while ((found = strstr(text, mark))) {
		memcpy(out, text, (size_t)(found - text));
		out += found - text;
		memcpy(out, with, with_len);
		out += with_len;
		text = found + mark_len;
	}
	memcpy(out, text, strlen(text) + 1);
	return filled;
}

struct answer page_answer(void)
{
	char host[HOST_MAX], *page, *styled, *named;

	get_host(host);
	named = fill(page_html, "{{host}}", host);
	styled = named ? fill(named, "{{style}}", page_style) : NULL;
	page = styled ? fill(styled, "{{script}}", page_script) : NULL;
	free(named);
	free(styled);
	return (struct answer){ 200, fields, page };
}
