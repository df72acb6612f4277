/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the kernel for the address of the peer, and trusted proxies for that of the client;
 * proxxy-conn.c calls it. The environment is not used: only systemd and xinetd set it, each in its
 * own way.
 */
#include "session/client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/forwarded.h"
#include "lib/host.h"
#include "lib/list.h"
#include "lib/proxy_protocol.h"

/* True if an item of list, PROXXY_TRUSTED_PROXIES, contains address, or is "unix" if address is. */
static bool is_trusted(const char *list, const char *address)
{
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len))) {
		char network[CLIENT_NAME_MAX];

		snprintf(network, sizeof(network), "%.*s", (int)len, item);
		if (strcmp(network, address) == 0 ||
		    (strcmp(network, "unix") != 0 && *address && host_in_network(network, address)))
			return true;
	}
	return false;
}

/* Writes "ADDRESS:PORT", "[IPv6]:PORT" or, if port is negative, the address alone. */
static void write_name(char name[CLIENT_NAME_MAX], const char *address, int port)
{
	if (port < 0)
		snprintf(name, CLIENT_NAME_MAX, "%s", address);
	else
		snprintf(name, CLIENT_NAME_MAX, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, port);
}

/* --- the socket's peer -------------------------------------------------------------------- */

/* The peer is the client. */
static void set_peer(struct client *c)
{
	memcpy(c->address, c->peer_address, sizeof(c->address));
	snprintf(c->name, sizeof(c->name), "%s", *c->address ? c->peer : "");
	c->is_proxy = *c->address && c->peer_is_trusted;
}

void client_of_socket(int fd, const struct config *config, struct client *ret_client)
{
	struct sockaddr_storage address = { 0 };
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
	socklen_t len = sizeof(address);
	int port = -1;

	*ret_client = (struct client){ .peer = "unknown" };
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return;
	if (address.ss_family == AF_INET) {
		host_write_address(AF_INET, &v4->sin_addr, ret_client->peer_address);
		port = ntohs(v4->sin_port);
	} else if (address.ss_family == AF_INET6) {
		host_write_address(AF_INET6, &v6->sin6_addr, ret_client->peer_address);
		port = ntohs(v6->sin6_port);
	}
	if (*ret_client->peer_address)
		write_name(ret_client->peer, ret_client->peer_address, port);
	else if (address.ss_family == AF_UNIX)
		snprintf(ret_client->peer, sizeof(ret_client->peer), "unix");
	else
		return;
	ret_client->peer_is_trusted =
		is_trusted(config->trusted_proxies, *ret_client->peer_address ? ret_client->peer_address : "unix");
	if (config->client_source == CLIENT_PEER || !ret_client->peer_is_trusted)
		set_peer(ret_client);
}

/* --- what a proxy tells ------------------------------------------------------------------- */

/* The client has this address, or is unknown if address is "". port is negative if it is not
 * known. */
static void set_told(struct client *c, const struct config *config, const char *address, int port)
{
	c->told = *address ? CLIENT_TOLD_ADDRESS : CLIENT_TOLD_UNKNOWN;
	snprintf(c->address, sizeof(c->address), "%s", address);
	if (*address)
		write_name(c->name, address, port);
	c->is_proxy = *address && is_trusted(config->trusted_proxies, address);
}

/* Reads a PROXY header. Returns as client_read_header(). */
static int read_header(struct endpoint *e, int64_t deadline, char *buf, size_t *ret_used,
		       struct proxy_protocol *ret_header, const char **ret_why)
{
	size_t len = 0, more;
	int rc;

	while ((rc = proxy_protocol_parse(buf, len, ret_header, &more, ret_why)) == 0) {
		const ssize_t n = io_read(e, buf + len, more);

		if (n > 0) {
			len += (size_t)n;
			*ret_used = len;
			continue;
		}
		if (n != IO_AGAIN)
			return ERR_CLIENT_GONE;
		rc = io_wait(e, POLLIN, NULL, deadline);
		if (rc == IO_TIMEOUT)
			return len == 0 ? ERR_CLIENT_GONE : ERR_REQUEST_TIMEOUT;
		if (rc < 0)
			return rc == IO_TERMINATED ? END_TERMINATED : ERR_SYSTEM;
	}
	return rc < 0 ? rc : OK;
}

int client_read_header(struct client *c, const struct config *config, struct endpoint *e, int64_t deadline, char *buf,
		       size_t *ret_used, char *why, size_t size)
{
	struct proxy_protocol header;
	const char *wrong = "";
	int rc;

	*ret_used = 0;
	if (config->client_source != CLIENT_PROXY_PROTOCOL || !c->peer_is_trusted)
		return OK;
	rc = read_header(e, deadline, buf, ret_used, &header, &wrong);
	if (rc == ERR_REQUEST_MALFORMED)
		return error_why(why, size, rc, "PROXY header, which PROXXY_CLIENT_ADDRESS demands: %s", wrong);
	if (rc < 0)
		return rc;
	*ret_used = 0;
	if (header.who == PROXY_PROTOCOL_LOCAL)
		set_peer(c);
	else
		set_told(c, config, header.address, header.port);
	return OK;
}

const char *client_field(const struct config *config)
{
	return forwarded_field(config->client_source);
}

static bool is_trusted_proxy(const char *address, const void *config)
{
	return is_trusted(((const struct config *)config)->trusted_proxies, address);
}

int client_of_request(struct client *c, const struct config *config, const struct http_request *request, char *why,
		      size_t size)
{
	struct forwarded client;
	const char *wrong = "";
	int rc;

	if (!client_field(config))
		return OK;
	if (!c->peer_is_trusted) {
		c->told = request->n_extra > 0 ? CLIENT_TOLD_UNUSED : CLIENT_TOLD_NOTHING;
		return OK;
	}
	if (request->n_extra == 0) {
		set_peer(c);
		return OK;
	}
	if (request->n_extra > HTTP_EXTRA_MAX)
		return error_why(why, size, ERR_REQUEST_MALFORMED, "%s: more than %d fields", client_field(config),
				 HTTP_EXTRA_MAX);
	rc = forwarded_find(config->client_source, request->extra, request->n_extra, is_trusted_proxy, config, &client,
			    &wrong);
	if (rc < 0)
		return error_why(why, size, rc, "%s: %s", client_field(config), wrong);
	set_told(c, config, client.address, client.port);
	return OK;
}

/* --- hints for the log -------------------------------------------------------------------- */

const char *client_header_hint(const struct client *c, const struct config *config)
{
	if (config->client_source != CLIENT_PROXY_PROTOCOL)
		return "it begins with a PROXY header, and PROXXY_CLIENT_ADDRESS is not proxy-protocol";
	return c->peer_is_trusted ? "it begins with a second PROXY header" :
				    "it begins with a PROXY header, and the peer is not in PROXXY_TRUSTED_PROXIES";
}

const char *client_hint(const struct client *c, const struct config *config, char text[CLIENT_HINT_MAX])
{
	const char *field = client_field(config) ? client_field(config) : "PROXY header", *before = "", *after = "";

	if (config->client_source == CLIENT_PEER) {
		field = "";
		if (!*c->address)
			before = "the peer has no address, and PROXXY_CLIENT_ADDRESS is peer";
		else if (c->is_proxy)
			before = "this is a proxy's address, and PROXXY_CLIENT_ADDRESS is peer";
	} else if (c->told == CLIENT_TOLD_UNUSED) {
		before = "the peer is not in PROXXY_TRUSTED_PROXIES, so its ";
		after = " was not used";
	} else if (c->told == CLIENT_TOLD_UNKNOWN) {
		before = "the proxy's ";
		after = " does not tell the address";
	} else if (c->told == CLIENT_TOLD_ADDRESS && c->is_proxy) {
		before = "the proxy's ";
		after = " tells only addresses in PROXXY_TRUSTED_PROXIES";
	} else if (c->told == CLIENT_TOLD_NOTHING && c->peer_is_trusted) {
		before = client_field(config) ? "the proxy sent no " : "the proxy's ";
		after = client_field(config) ? "" : " is LOCAL";
	}
	snprintf(text, CLIENT_HINT_MAX, "%s%s%s", before, *before ? field : "", after);
	return text;
}
