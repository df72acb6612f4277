/* SPDX-License-Identifier: Apache-2.0
 *
 * Adds to the counters that all sessions of the machine share. proxxy-conn.c and relay_time.c call
 * it.
 */
#include "session/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/counters_file.h"

/* Processors that cannot add 64 bits at once (some 32-bit MIPS and ARM) may lose a count: libatomic
 * would use a lock, which processes do not share. */
#if __GCC_ATOMIC_LLONG_LOCK_FREE == 2
#define ADD(counter, n) __atomic_fetch_add(counter, n, __ATOMIC_SEQ_CST)
#else
#define ADD(counter, n) (*(volatile uint64_t *)(counter) += (n))
#endif

static struct counters *shared; /* NULL if nothing is counted */
static int64_t requested;       /* when counters_open() was called */
static bool opened;             /* counters_opened() was called */
static uint64_t added_up, added_down;
static int64_t added_at;

/* --- the file ----------------------------------------------------------------------------- */

/* Writes a new file beside path, and gives it that name. If replace is false, a file that has the
 * name stays. All bytes are written, so that the file has its blocks on the disk. */
static void make_file(const char *path, bool replace)
{
	char temporary[COUNTERS_PATH_MAX + 8];
	struct counters c;
	int fd;

	counters_init(&c);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	/* 0644, whatever the umask is: proxxy-status has another user. */
	if (write(fd, &c, sizeof(c)) == sizeof(c) && fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) == 0)
		(void)!(replace ? rename(temporary, path) : link(temporary, path));
	close(fd);
	unlink(temporary);
}

/* Returns a descriptor of the file, or a negative errno. */
static int open_or_make(const char *directory)
{
	char path[COUNTERS_PATH_MAX];
	int fd = counters_file_open(directory, O_RDWR);

	if (fd != -ENOENT && fd != -EINVAL && fd != -EACCES) /* EACCES: proxxy-conn was once run by hand as root */
		return fd;
	snprintf(path, sizeof(path), "%s/" COUNTERS_NAME, directory);
	make_file(path, fd != -ENOENT);
	return counters_file_open(directory, O_RDWR);
}

/* proxxy@.service sets RUNTIME_DIRECTORY. With RuntimeDirectory=, systemd sets it to the unit's
 * directories, separated by colons. */
static const char *choose_directory(const char *state_directory)
{
	const char *ours = getenv("RUNTIME_DIRECTORY");

	return ours && strstr(ours, COUNTERS_RUNTIME_DIRECTORY) ? COUNTERS_RUNTIME_DIRECTORY : state_directory;
}

/* --- adding ------------------------------------------------------------------------------- */

static sigjmp_buf out_of_add;
static volatile sig_atomic_t adding;

/* The kernel cannot write to the mapping: the file became shorter, or the disk is full. The action
 * is reset (SA_RESETHAND), so any other SIGBUS ends the process when the instruction is tried
 * again. */
static void on_sigbus(int number)
{
	(void)number;
	if (adding)
		siglongjmp(out_of_add, 1);
}

static void add(uint64_t *counter, uint64_t n)
{
	/* 0: the mask is not saved, which would be a system call. SA_NODEFER does not change it. */
	if (sigsetjmp(out_of_add, 0) != 0) {
		adding = 0;
		shared = NULL; /* only this once: the signal's action was reset */
		return;
	}
	adding = 1;
	ADD(counter, n);
	adding = 0;
}

static void add_time(struct counters_histogram *h, const uint32_t bounds[COUNTERS_BOUNDS], int64_t ms)
{
	add(&h->buckets[counters_bucket(bounds, ms)], 1);
	if (shared && ms > 0)
		add(&h->sum_ms, (uint64_t)ms);
}

void counters_open(const char *state_directory, int64_t now)
{
	const struct sigaction action = { .sa_handler = on_sigbus, .sa_flags = (int)SA_RESETHAND | SA_NODEFER };
	int fd = open_or_make(choose_directory(state_directory));
	void *map;

	requested = now;
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED && sigaction(SIGBUS, &action, NULL) == 0)
		shared = map;
}

void counters_refused(int code)
{
	if (shared)
		add(&shared->refused[counters_index(code)], 1);
}

void counters_opened(int64_t now)
{
	opened = true;
	added_at = now;
	if (shared)
		add(&shared->opened, 1);
	if (shared)
		add_time(&shared->connecting, counters_connecting_bounds, now - requested);
}

/* Adds the bytes that are not added yet. The numbers may be smaller than at the last call: bytes
 * that were relayed, but did not arrive, are not in the session's summary. */
static void add_bytes(uint64_t up, uint64_t down)
{
	if (shared && up > added_up)
		add(&shared->bytes_up, up - added_up);
	if (shared && down > added_down)
		add(&shared->bytes_down, down - added_down);
	added_up = up > added_up ? up : added_up;
	added_down = down > added_down ? down : added_down;
}

void counters_relayed(uint64_t up, uint64_t down, int64_t now)
{
	if (!shared || now - added_at < COUNTERS_RELAYED_MS)
		return;
	added_at = now;
	add_bytes(up, down);
}

void counters_ended(int outcome, int64_t duration, uint64_t up, uint64_t down)
{
	if (shared)
		add(&shared->ended[counters_index(outcome)], 1);
	if (shared && opened)
		add_time(&shared->duration, counters_duration_bounds, duration);
	add_bytes(up, down);
}
