/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks a host's name up in a thread, so that the lookup can be abandoned at a deadline. dial.c
 * calls it.
 */
#include "session/resolve.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"

/* One lookup. After a time-out its thread still uses it, so it is then never freed. */
struct lookup {
	char host[CONSOLE_HOST_MAX + 1], port[6];
	struct addrinfo hints, *found;
	int rc;   /* getaddrinfo()'s */
	int done; /* an eventfd, or -1 */
};

static bool is_running;

/* The thread. It returns instead of calling pthread_exit(), which loads libgcc_s; in the sandbox
 * that fails and aborts the process. getaddrinfo_a() is not used because its thread idles for a
 * second and then does this. */
static void *look_up(void *arg)
{
	struct lookup *l = arg;

	l->rc = getaddrinfo(l->host, l->port, &l->hints, &l->found);
	eventfd_write(l->done, 1);
	return NULL;
}

/* Returns 0 when the lookup is done, ERR_SYSTEM if it cannot start, or as io_wait(). *ret_running
 * is true if its thread still uses l. */
static int await_lookup(struct lookup *l, const struct endpoint *client, int64_t deadline, bool *ret_running)
{
	struct endpoint done;
	pthread_t thread;
	int rc;

	*ret_running = false;
	l->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->done < 0 || pthread_create(&thread, NULL, look_up, l) != 0)
		return ERR_SYSTEM;
	done = io_endpoint(l->done, NULL);
	rc = io_wait(&done, POLLIN, client, deadline);
	if (rc < 0) {
		*ret_running = true;
		return rc;
	}
	pthread_join(thread, NULL);
	return OK;
}

int resolve(const struct console *c, uint16_t port, const struct endpoint *client, int64_t deadline,
	    struct addrinfo **ret_addresses, const char **ret_why)
{
	struct lookup *l = calloc(1, sizeof(*l));
	bool running = false;
	int rc = OK;

	if (!l)
		return ERR_SYSTEM;
	l->done = -1;
	snprintf(l->host, sizeof(l->host), "%s", c->host);
	snprintf(l->port, sizeof(l->port), "%u", port);
	l->hints = (struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	if (c->host_is_address) {
		l->hints.ai_flags |= AI_NUMERICHOST;
		l->rc = getaddrinfo(l->host, l->port, &l->hints, &l->found);
	} else {
		rc = await_lookup(l, client, deadline, &running);
	}
	if (running) {
		is_running = true;
		return rc;
	}
	if (l->done >= 0)
		close(l->done);
	if (rc == OK && l->rc != 0) {
		*ret_why = gai_strerror(l->rc);
		rc = ERR_UPSTREAM_RESOLVE;
	} else if (rc == OK) {
		*ret_addresses = l->found;
	}
	free(l);
	return rc;
}

bool resolve_is_running(void)
{
	return is_running;
}
