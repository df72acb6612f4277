/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of the counters: all sessions of a machine add to it (session/counters.h), proxxy-status
 * reads it. It has one fixed size, and is not larger than a page.
 */
#ifndef PROXXY_COUNTERS_FILE_H
#define PROXXY_COUNTERS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The directory of the file under systemd, which proxxy.socket makes. It is in memory, so a disk
 * that is full or hangs cannot stop a session that counts. Without systemd, the file is in
 * PROXXY_STATE_DIRECTORY. */
#define COUNTERS_RUNTIME_DIRECTORY "/run/proxxy-counters"

#define COUNTERS_NAME "counters"

enum {
	COUNTERS_VERSION = 1,                /* of the layout; a file of another version is replaced */
	COUNTERS_CODES = 128,                /* counters by error code: code -n is at n */
	COUNTERS_OTHER = COUNTERS_CODES - 1, /* for a code that is not in the table of error.h */
	COUNTERS_BOUNDS = 12,                /* of each histogram */
	COUNTERS_PATH_MAX = 512,             /* bytes of the file's path, with its NUL */
};

/* Bucket i has the times that are greater than bounds[i - 1], and at most bounds[i]; the last one
 * has those that are greater than all bounds. */
struct counters_histogram {
	uint64_t sum_ms;
	uint64_t buckets[COUNTERS_BOUNDS + 1];
};

/* The content of the file. All counters only grow, and begin with 0 in a new file. */
struct counters {
	char magic[8];
	uint32_t version, size;               /* COUNTERS_VERSION, sizeof(struct counters) */
	uint64_t opened;                      /* sessions that got their console */
	uint64_t bytes_up, bytes_down;        /* payload bytes to and from Proxmox */
	struct counters_histogram connecting; /* from the client's request to the open console */
	struct counters_histogram duration;   /* of sessions that got their console, from connection to end */
	uint64_t refused[COUNTERS_CODES];     /* records "Request refused" */
	uint64_t ended[COUNTERS_CODES];       /* records "Session ended" */
};

/* The upper bounds of the histograms' buckets, in milliseconds. */
extern const uint32_t counters_connecting_bounds[COUNTERS_BOUNDS], counters_duration_bounds[COUNTERS_BOUNDS];

/* Returns the index of the bucket for ms, which may be negative if a clock was set. */
size_t counters_bucket(const uint32_t bounds[COUNTERS_BOUNDS], int64_t ms);

/* Returns the index of an error code in refused and ended. */
size_t counters_index(int code);

/* Makes *c the content of a new file. */
void counters_init(struct counters *c);

/* True if the first bytes of *c, up to and without opened, are those of this layout. */
bool counters_layout_is_ours(const struct counters *c);

/* Opens directory/COUNTERS_NAME with open(2)'s flags O_RDONLY or O_RDWR. Does not wait, and follows
 * no link at the last name. Returns a descriptor that the caller closes, -ENOENT if there is no
 * file, -EINVAL if it is not a regular file of this layout, or another -errno. */
int counters_file_open(const char *directory, int flags);

/* Reads the file of a directory. Its counters are as hostile as a session that was taken over:
 * any number. Returns 0, or as counters_file_open(). */
int counters_file_read(const char *directory, struct counters *ret_counters);

#endif
