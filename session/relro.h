/* SPDX-License-Identifier: Apache-2.0
 *
 * Returns OpenSSL's relocated tables to the kernel while a session relays. Shared libraries have
 * tables of addresses: the dynamic linker writes these when a process starts, so that each session
 * has its own copy of them, and then makes them constant (RELRO). A session that relays needs a few
 * of these pages. relro_release() gives the others back. When one is read again, the kernel sends
 * SIGSEGV, and the handler makes the page again: the kernel reads it from the library's file, and
 * the handler writes the addresses as the dynamic linker did.
 *
 * Works with glibc on x86-64 and ARM64, for libcrypto and libssl. Does nothing elsewhere, with
 * sanitizers and in valgrind. Pages whose content depends on other libraries are kept.
 */
#ifndef PROXXY_RELRO_H
#define PROXXY_RELRO_H

#include <stdint.h>

/* How long a session relays until its tables are returned, in ms. Opening a console, and sessions
 * that end at once, do not take the time for it (some 0.3 ms with the end of TLS). */
enum { RELRO_DELAY_MS = 300 };

/* Looks up where the tables are, and sets the handler. Call it at most once, outside of the
 * sandbox, which forbids to set one. Does nothing if a lookup's thread still runs: the handler
 * makes a page in place. A fault that is not of a returned page still ends the process with
 * SIGSEGV. */
void relro_prepare(void);

/* Returns the tables that relro_prepare() found; none if it was not called. The kernel does not
 * call the handler for pages that a system call reads; no call reads these tables. */
void relro_release(void);

/* Does so once, RELRO_DELAY_MS after its first call, and returns unused heap too. now is an
 * io_now(). Returns when to call it again: INT64_MAX when it is done. */
int64_t relro_release_in_time(int64_t now);

#endif
