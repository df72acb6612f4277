/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks a host's name up in a thread, so that the lookup can be abandoned at a deadline. upstream.c
 * calls it.
 */
#include "session/resolve.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"

/* Static: after a time-out the thread still uses it. */
static struct {
	char host[CONSOLE_HOST_MAX + 1], port[6];
	struct addrinfo hints, *found;
	int rc;   /* getaddrinfo()'s */
	int done; /* an eventfd */
} lookup;

/* The thread. It returns instead of calling pthread_exit(), which loads libgcc_s; in the sandbox
 * that fails and aborts the process. getaddrinfo_a() is not used because its thread idles for a
 * second and then does this. */
static void *look_up(void *unused)
{
	(void)unused;
	lookup.rc = getaddrinfo(lookup.host, lookup.port, &lookup.hints, &lookup.found);
	eventfd_write(lookup.done, 1);
	return NULL;
}

/* Returns 0 when the lookup is done, ERR_SYSTEM if it cannot start, or as io_wait(). */
static int await_lookup(const struct endpoint *client, int64_t deadline)
{
	struct endpoint done;
	pthread_t thread;
	int rc;

	lookup.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lookup.done < 0 || pthread_create(&thread, NULL, look_up, NULL) != 0)
		return ERR_SYSTEM;
	done = io_endpoint(lookup.done, NULL);
	rc = io_wait(&done, POLLIN, client, deadline);
	if (rc < 0)
		return rc;
	pthread_join(thread, NULL);
	close(lookup.done);
	return OK;
}

int resolve(const struct console *c, uint16_t port, const struct endpoint *client, int64_t deadline,
	    struct addrinfo **ret_addresses, const char **ret_why)
{
	int rc = OK;

	snprintf(lookup.host, sizeof(lookup.host), "%s", c->host);
	snprintf(lookup.port, sizeof(lookup.port), "%u", port);
	lookup.hints = (struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	if (c->host_is_address) {
		lookup.hints.ai_flags |= AI_NUMERICHOST;
		lookup.rc = getaddrinfo(lookup.host, lookup.port, &lookup.hints, &lookup.found);
	} else {
		rc = await_lookup(client, deadline);
	}
	if (rc < 0)
		return rc;
	if (lookup.rc != 0) {
		*ret_why = gai_strerror(lookup.rc);
		return ERR_UPSTREAM_RESOLVE;
	}
	*ret_addresses = lookup.found;
	return OK;
}
