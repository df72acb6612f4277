/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts, counts, signals and reaps sessions. proxxy-listen.c calls it.
 */
#include "listen/sessions.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listen/say.h"

static struct {
	pid_t *pids; /* in no order */
	size_t n, max;
	int sent; /* the signal that was sent to all last; 0 for none */
} table;

static struct say_limit crashes;

bool sessions_init(size_t max)
{
	/* As in proxxy@.service, which says why. Does not replace the administrator's. */
	setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_max=32:glibc.malloc.mxfast=0", 0);
	table.pids = calloc(max, sizeof(*table.pids));
	table.max = max;
	return table.pids;
}

size_t sessions_count(void)
{
	return table.n;
}

bool sessions_full(void)
{
	return table.n == table.max;
}

/* Sets what a session does not inherit from us. Returns 0 or an errno. */
static int prepare_attributes(posix_spawnattr_t *attributes)
{
	sigset_t all, none;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	rc = posix_spawnattr_setflags(attributes,
				      POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attributes, &all);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attributes, &none);
	return rc == 0 ? posix_spawnattr_setpgroup(attributes, 0) : rc;
}

int sessions_start(char *const argv[], int connection)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attributes);
	if (rc != 0)
		goto without_attributes;
	rc = prepare_attributes(&attributes);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, connection, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, connection, STDOUT_FILENO);
	if (rc == 0) /* glibc's shares our memory until the exec, as vfork(2) does: its time does not grow */
		rc = posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ);
	if (rc == 0)
		table.pids[table.n++] = pid;
	posix_spawnattr_destroy(&attributes);
without_attributes:
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* Removes a process from the table. Returns false if it is not in it. */
static bool forget(pid_t pid)
{
	for (size_t i = 0; i < table.n; i++)
		if (table.pids[i] == pid) {
			table.pids[i] = table.pids[--table.n];
			return true;
		}
	return false;
}

void sessions_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (forget(pid) && WIFSIGNALED(status) && WTERMSIG(status) != table.sent)
			say_limited(&crashes, "Session %d was ended by signal %d (%s)", (int)pid, WTERMSIG(status),
				    strsignal(WTERMSIG(status)));
}

void sessions_signal(int number)
{
	table.sent = number;
	for (size_t i = 0; i < table.n; i++)
		kill(table.pids[i], number);
}
