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

/* Looks up where the tables are, and sets the handler. Call it once, outside of the sandbox, which
 * forbids to set one. A fault that is not of a returned page still ends the process with
 * SIGSEGV. */
void relro_prepare(void);

/* Returns the tables that relro_prepare() found. Only while the process has no other thread: the
 * handler makes a page in place. The kernel does not call the handler for pages that a system call
 * reads; no call reads these tables. */
void relro_release(void);

#endif
