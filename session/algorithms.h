/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits OpenSSL to the algorithms that a session needs.
 */
#ifndef PROXXY_ALGORITHMS_H
#define PROXXY_ALGORITHMS_H

/* Starts OpenSSL with the algorithms for opening a payload, reading a certificate, and TLS 1.2 or
 * 1.3 with Proxmox. By default OpenSSL reads a configuration file, loads 1,500 error texts, makes
 * an object for each of about 300 algorithms when the first of a kind is used, and one for each of
 * 50 groups of TLS. That costs 3 ms and 270 KiB, and a session uses 22 of the algorithms and 4 of
 * the groups. Therefore this replaces the default provider with one that offers the default
 * provider's implementations of these, and random bytes from the kernel. For a peer, other
 * algorithms do not exist. Call it once, before anything else uses OpenSSL. Returns 0 or
 * ERR_SYSTEM. */
int algorithms_restrict(void);

#endif
