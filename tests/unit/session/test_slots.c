/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests slots.h: how many processes get a slot of a key, in how many files the slots are, and that
 * the kernel gives a process's slots back however it ends.
 */
#include "tests/unit/session/directory.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "lib/error.h"
#include "session/slots.h"

/* Takes all slots of a key, and returns how many there were. Keeps their descriptors in fds. */
static int take_all(uint64_t key, int limit, int fds[SLOTS_MAX])
{
	int n = 0;

	while (n < SLOTS_MAX && (fds[n] = slots_take(directory, key, limit, (unsigned)n * 7)) >= 0)
		n++;
	assert_int_equal(n < SLOTS_MAX ? fds[n] : SLOTS_FULL, SLOTS_FULL);
	return n;
}

static void close_all(const int fds[], int n)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

static void as_many_slots_as_the_limit(void **state)
{
	static const int limits[] = { 1, 2, 3, 63, 64, 65, 128, 300 };
	static int fds[SLOTS_MAX], others[SLOTS_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		const uint64_t key = UINT64_C(0x8877665544332211) + i;
		const int n = take_all(key, limits[i], fds);

		CHECK_INT(n, limits[i], "limit %d", limits[i]);
		CHECK_INT(take_all(key ^ 1, limits[i], others), limits[i], "another key beside, limit %d", limits[i]);
		close_all(others, limits[i]);
		close(fds[n / 2]);
		fds[n / 2] = slots_take(directory, key, limits[i], 0);
		CHECK(fds[n / 2] >= 0, "a slot that is free again, limit %d", limits[i]);
		CHECK_INT(slots_take(directory, key, limits[i], 5), SLOTS_FULL, "limit %d", limits[i]);
		close_all(fds, n);
	}
}

/* Returns how many files the slots of a key are in. */
static size_t spread(uint64_t key, int limit)
{
	static int fds[SLOTS_MAX];
	static bool seen[SLOTS_FILES];
	size_t n_files = 0, most = 0;
	static size_t in_file[SLOTS_FILES];
	const int n = take_all(key, limit, fds);

	memset(seen, 0, sizeof(seen));
	memset(in_file, 0, sizeof(in_file));
	for (int i = 0; i < n; i++) {
		char link[64], name[512] = "";
		unsigned number;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fds[i]);
		assert_true(readlink(link, name, sizeof(name) - 1) > 0);
		number = (unsigned)strtoul(strrchr(name, '/') + 1, NULL, 16);
		n_files += !seen[number];
		seen[number] = true;
		if (++in_file[number] > most)
			most = in_file[number];
	}
	close_all(fds, n);
	CHECK(most <= SLOTS_PER_FILE, "%zu slots in a file", most);
	return n_files;
}

static void many_slots_are_in_several_files(void **state)
{
	(void)state;
	CHECK_INT(spread(0, 64), 1, "64");
	CHECK_INT(spread(0, 65), 2, "65");
	CHECK_INT(spread(UINT64_MAX, 300), 5, "after the last file comes the first");
	CHECK_INT(spread(42, 640), 10, "640");
}

/* Sixty processes try to take one of twenty slots, all at the same time. Then they are killed. */
static void slots_of_killed_processes_are_free(void **state)
{
	enum { PROCESSES = 60, LIMIT = 20 };
	const uint64_t key = 4711;
	static int fds[SLOTS_MAX];
	pid_t pids[PROCESSES];
	int start[2], told[2], won = 0;
	char byte;

	(void)state;
	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(told), 0);
	for (int p = 0; p < PROCESSES; p++) {
		pids[p] = fork();
		assert_true(pids[p] >= 0);
		if (pids[p] == 0) {
			close(start[1]);
			byte = read(start[0], &byte, 1) == 0 && slots_take(directory, key, LIMIT, (unsigned)p) >= 0;
			if (write(told[1], &byte, 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
	}
	close(start[1]); /* all begin */
	for (int p = 0; p < PROCESSES; p++) {
		assert_int_equal(read(told[0], &byte, 1), 1);
		won += byte;
	}
	CHECK_INT(won, LIMIT, "processes with a slot");
	CHECK_INT(take_all(key, LIMIT, fds), 0, "while they run");
	for (int p = 0; p < PROCESSES; p++) {
		kill(pids[p], SIGKILL);
		assert_int_equal(waitpid(pids[p], NULL, 0), pids[p]);
	}
	CHECK_INT(take_all(key, LIMIT, fds), LIMIT, "when they are gone");
	close_all(fds, LIMIT);
	close(start[0]);
	close(told[0]);
	close(told[1]);
}

static void files_cannot_be_opened(void **state)
{
	const int proc = open("/proc/self", O_PATH | O_DIRECTORY);

	(void)state;
	CHECK_INT(slots_take(proc, 1, 64, 0), ERR_SYSTEM, "a directory in which nobody can make files");
	CHECK(errno == EACCES || errno == ENOENT, "%s", strerror(errno));
	close(proc);
	assert_int_equal(symlinkat("/dev/null", directory, "77"), 0);
	CHECK_INT(slots_take(directory, UINT64_C(0x77) << 56, 64, 0), ERR_SYSTEM, "a link in the place of a file");
	CHECK_INT(errno, ELOOP, "errno");
	assert_int_equal(unlinkat(directory, "77", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_many_slots_as_the_limit),
					    cmocka_unit_test(many_slots_are_in_several_files),
					    cmocka_unit_test(slots_of_killed_processes_are_free),
					    cmocka_unit_test(files_cannot_be_opened) };

	return cmocka_run_group_tests_name(__FILE__, tests, begin, finish);
}
