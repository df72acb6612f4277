/* SPDX-License-Identifier: Apache-2.0
 *
 * Returns the address of a connection's peer as text, for the log and for the payload's claim
 * "client".
 */
#ifndef PROXXY_PEER_H
#define PROXXY_PEER_H

#include <netinet/in.h>
#include <stddef.h>

/* Sets ret_address to the address of fd's peer, and name[0..size) to the same with the port. Writes
 * an IPv4-mapped IPv6 address as IPv4. Without an IP address sets "" and "unknown". */
void peer_name(int fd, char ret_address[INET6_ADDRSTRLEN], char *name, size_t size);

#endif
