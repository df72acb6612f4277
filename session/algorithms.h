/* SPDX-License-Identifier: Apache-2.0
 *
 * Which algorithms OpenSSL offers to this process.
 */
#ifndef PROXXY_ALGORITHMS_H
#define PROXXY_ALGORITHMS_H

/* Starts OpenSSL with what a session needs: reading a payload and a certificate, and TLS 1.2 or 1.3 with Proxmox.
 * Left to itself it reads a configuration file, loads 1,500 error texts, and makes an object for each of some 300
 * algorithms the first time that one of their kind is asked for: 3 ms and 270 KiB of a process that uses 25 of them.
 * So a provider of our own is put in the default one's place, which passes that one's work on but shows no more
 * than those. Whatever else a peer asks for is as if this OpenSSL did not have it.
 * To be called once, first of all that uses OpenSSL. Returns 0, or ERR_SYSTEM. */
int algorithms_restrict(void);

#endif
