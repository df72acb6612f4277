/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a link in the user's browser, for "proxxy-url --open".
 */
#ifndef PROXXY_BROWSER_H
#define PROXXY_BROWSER_H

#include <stddef.h>

enum {
	BROWSER_URL_MAX = 64 * 1024, /* bytes of a link, with its NUL */
	BROWSER_WAIT_S = 5,          /* for the browser's command; some end only with the browser */
	BROWSER_FILE_S = 30,         /* until the file is removed; a browser may take as long to start */
};

/* Runs xdg-open, or the first program in BROWSER. A link is secret, and every user of the machine
 * can read the arguments of a program. So the argument is the path of an HTML file that leads to
 * url. Only this user can read the file. A process in the background removes it after
 * BROWSER_FILE_S.
 * Returns 0. Otherwise returns ERR_SYSTEM, and a sentence in why[0..size). */
int browser_open(const char *url, char *why, size_t size);

#endif
