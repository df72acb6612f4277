/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests replay.h: if many processes take an identifier at the same time, exactly one gets it.
 * Expired files are deleted, other files stay.
 */
#include "tests/unit/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "session/replay.h"

static char directory[] = "/tmp/proxxy-test-once.XXXXXX";

static int begin(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

/* Calls back for each entry; returns how many there are. */
static size_t each(void (*call)(const char *path))
{
	DIR *d = opendir(directory);
	struct dirent *e;
	char path[512];
	size_t n = 0;

	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
		if (call)
			call(path);
	}
	closedir(d);
	return n;
}

static void erase(const char *path)
{
	unlink(path);
}

static int finish(void **state)
{
	print_checks(state);
	each(erase);
	return rmdir(directory);
}

static void one_at_a_time(void **state)
{
	const int64_t soon = time(NULL) + 60;

	(void)state;
	assert_int_equal(replay_take(directory, "a", 1, soon), 0);
	assert_int_equal(replay_take(directory, "a", 1, soon), ERR_PAYLOAD_USED);
	assert_int_equal(replay_take(directory, "a", 1, soon + 1), ERR_PAYLOAD_USED);
	assert_int_equal(replay_take(directory, "b", 1, soon), 0);
	assert_int_equal(replay_take(directory, "aa", 2, soon), 0);
	assert_int_equal(replay_take(directory, "../x/\n", 6, soon), 0); /* an identifier may contain any byte */
	assert_int_equal(replay_take(directory, "late", 4, time(NULL) - 2), ERR_PAYLOAD_EXPIRED);
	assert_int_equal(each(NULL), 5);
	assert_int_equal(replay_take("/nonexistent", "a", 1, soon), ERR_CONFIG);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(replay_take("/dev/null", "a", 1, soon), ERR_CONFIG);
	assert_int_equal(errno, ENOTDIR);
}

/* Forty processes try to take each of two hundred identifiers. Exactly one succeeds. */
static void many_at_once(void **state)
{
	enum { PROCESSES = 40, IDS = 200 };
	const int64_t soon = time(NULL) + 60;
	int won[2], start[2];
	char byte, tally[IDS] = { 0 };
	uint8_t id;

	(void)state;
	assert_int_equal(pipe(won), 0);
	assert_int_equal(pipe(start), 0);
	for (int p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			close(start[1]);
			if (read(start[0], &byte, 1) != 0) /* all begin when the pipe is closed */
				_exit(1);
			for (int i = 0; i < IDS; i++) {
				char name[32];
				int rc = replay_take(directory, name, (size_t)sprintf(name, "race-%d", i), soon);

				id = (uint8_t)i;
				if (rc == OK && write(won[1], &id, 1) != 1)
					_exit(1);
				if (rc != OK && rc != ERR_PAYLOAD_USED)
					_exit(1);
			}
			_exit(0);
		}
	close(start[0]);
	close(start[1]);
	close(won[1]);
	while (read(won[0], &id, 1) == 1)
		tally[id]++;
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < IDS; i++)
		CHECK_INT(tally[i], 1, "race-%d", i);
	close(won[0]);
}

static void age(const char *path)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = time(NULL) - REPLAY_SLACK - 2 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void expired_files_go(void **state)
{
	enum { ENOUGH = 16 * 16 * 16 };
	const int64_t soon = time(NULL) + 60;
	char path[600];
	int n = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/README", directory);
	fclose(fopen(path, "w"));
	each(age);
	/* Each sweep looks at another 16th of the files: repeat until all expired ones are
	 * deleted. */
	for (; n < ENOUGH && each(NULL) > 1 + (size_t)n; n++) {
		char id[32];

		assert_int_equal(replay_take(directory, id, (size_t)sprintf(id, "new-%d", n), soon), 0);
	}
	CHECK(n > 0 && n < ENOUGH, "swept after %d", n);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(replay_take(directory, "new-0", 5, soon), ERR_PAYLOAD_USED);
	assert_int_equal(replay_take(directory, "a", 1, soon), 0); /* it has expired, so it can be taken again */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one_at_a_time), cmocka_unit_test(many_at_once),
					    cmocka_unit_test(expired_files_go) };

	return cmocka_run_group_tests_name(__FILE__, tests, begin, finish);
}
