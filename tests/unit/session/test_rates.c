/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests rates.h: when a key may pass, also in many processes at once, and what a full set, a
 * restart of the machine and a file with any content do.
 */
#include "tests/unit/session/directory.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/error.h"
#include "session/rates.h"

#define SECOND INT64_C(1000000)

static void file_cannot_be_opened(void **state)
{
	const int proc = open("/proc/self", O_PATH | O_DIRECTORY);
	int seconds = -5;

	(void)state;
	CHECK_INT(rates_pass(proc, 1, 64, 0, &seconds), ERR_SYSTEM, "a directory in which nobody can make files");
	CHECK(errno == EACCES || errno == ENOENT, "%s", strerror(errno));
	CHECK_INT(seconds, -5, "seconds are left as they are");
	close(proc);
}

/* Lets the key pass as often as it can at that time. Returns how often, and *ret_seconds. */
static int burst(uint64_t key, int per_minute, int64_t now, int *ret_seconds)
{
	int n = 0;

	*ret_seconds = 0;
	while (rates_pass(directory, key, per_minute, now, ret_seconds) == OK)
		n++;
	return n;
}

static void tokens_come_back(void **state)
{
	const int64_t began = 1000 * SECOND;
	int seconds;

	(void)state;
	CHECK_INT(burst(1, 6, began, &seconds), 6, "after a quiet minute");
	CHECK_INT(seconds, 10, "a token comes every 10 s");
	CHECK_INT(burst(2, 6, began, &seconds), 6, "another key");
	CHECK_INT(burst(1, 6, began + 4 * SECOND, &seconds), 0, "too early");
	CHECK_INT(seconds, 6, "less to wait");
	CHECK_INT(burst(1, 6, began + 10 * SECOND - 1, &seconds), 0, "a microsecond too early");
	CHECK_INT(seconds, 1, "at least one");
	/* The attempts that were refused have changed nothing. */
	CHECK_INT(burst(1, 6, began + 10 * SECOND, &seconds), 1, "one token");
	CHECK_INT(burst(1, 6, began + 35 * SECOND, &seconds), 2, "two tokens");
	CHECK_INT(seconds, 5, "half of the next one is there");
	CHECK_INT(burst(1, 6, began + 500 * SECOND, &seconds), 6, "no more than the burst");
	CHECK_INT(burst(3, 1, began, &seconds), 1, "one per minute");
	CHECK_INT(seconds, 60, "the longest wait");
	CHECK_INT(burst(4, 4096, began, &seconds), 4096, "the highest limit");
	CHECK_INT(seconds, 1, "and its wait");
	CHECK_INT(burst(4, 6, began, &seconds), 0, "a lower limit applies at once");
	CHECK_INT(burst(4, 6, began + 10 * SECOND, &seconds), 1, "and brings its tokens");
}

static void times_of_an_earlier_boot_do_not_count(void **state)
{
	int seconds;

	(void)state;
	CHECK_INT(burst(50, 6, 5000 * SECOND, &seconds), 6, "before");
	CHECK_INT(burst(50, 6, 20 * SECOND, &seconds), 6, "the clock has begun again");
	CHECK_INT(burst(50, 6, 20 * SECOND, &seconds), 0, "and counts");
}

static void oldest_of_a_full_set_goes(void **state)
{
	const int64_t began = 9000 * SECOND;
	const uint64_t key = 777;
	int seconds;

	(void)state;
	for (uint64_t i = 0; i < RATES_PER_SET; i++)
		assert_int_equal(burst(key + i * RATES_SETS, 6, began + (int64_t)i * SECOND, &seconds), 6);
	for (uint64_t i = 0; i < RATES_PER_SET; i++)
		CHECK_INT(burst(key + i * RATES_SETS, 6, began + 4 * SECOND, &seconds), 0, "key %d", (int)i);
	assert_int_equal(rates_pass(directory, key + 9 * RATES_SETS, 6, began + 4 * SECOND, &seconds), OK);
	for (uint64_t i = 1; i < RATES_PER_SET - 1; i++)
		CHECK_INT(burst(key + i * RATES_SETS, 6, began + 4 * SECOND, &seconds), 0, "key %d stays", (int)i);
	/* The new key has used one token, so it is the next one that goes. */
	CHECK_INT(burst(key, 6, began + 4 * SECOND, &seconds), 6, "the first key was forgotten");
}

static void file_does_not_grow(void **state)
{
	struct stat st;
	int seconds;

	(void)state;
	for (uint64_t i = 0; i < 3000; i++)
		assert_int_equal(rates_pass(directory, i * UINT64_C(0x9E3779B97F4A7C15), 6, SECOND, &seconds), OK);
	assert_int_equal(fstatat(directory, "rates", &st, 0), 0);
	CHECK(st.st_size <= RATES_FILE_MAX, "%jd bytes", (intmax_t)st.st_size);
	CHECK_INT(st.st_mode & 07777, 0600, "mode");
}

/* A file that someone else wrote to: any content is a table. */
static void file_of_noise(void **state)
{
	int fd = openat(directory, "rates", O_WRONLY | O_TRUNC), seconds = 0;
	uint64_t noise_state = 5;

	(void)state;
	for (int i = 0; i < RATES_FILE_MAX / 64 / 16; i++) {
		uint8_t noise[64];

		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)random_next(&noise_state);
		assert_int_equal(write(fd, noise, sizeof(noise)), sizeof(noise));
	}
	close(fd);
	for (uint64_t i = 0; i < 500; i++) {
		const int rc = rates_pass(directory, i * 3, 6, 100 * SECOND, &seconds);

		CHECK(rc == OK || (rc == ERR_LIMIT_RATE && seconds >= 1 && seconds <= 60), "%d: %d, %d s", (int)i, rc,
		      seconds);
	}
}

/* Forty processes, each of which tries to pass ten times at once. */
static void processes_share_the_tokens(void **state)
{
	enum { PROCESSES = 40, LIMIT = 100 };
	int start[2], told[2], passed = 0;
	char byte;

	(void)state;
	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(told), 0);
	for (int p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			int seconds;

			close(start[1]);
			byte = 0;
			if (read(start[0], &byte, 1) != 0)
				_exit(1);
			for (int i = 0; i < 10; i++)
				byte = (char)(byte +
					      (rates_pass(directory, 100003, LIMIT, 70 * SECOND, &seconds) == OK));
			_exit(write(told[1], &byte, 1) != 1);
		}
	close(start[0]);
	close(start[1]);
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		assert_int_equal(read(told[0], &byte, 1), 1);
		passed += byte;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	/* More only if a process was stopped for 20 ms while it had the lock. */
	CHECK(passed >= LIMIT && passed < 2 * LIMIT, "%d passed", passed);
	close(told[0]);
	close(told[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(file_cannot_be_opened),
					    cmocka_unit_test(tokens_come_back),
					    cmocka_unit_test(times_of_an_earlier_boot_do_not_count),
					    cmocka_unit_test(oldest_of_a_full_set_goes),
					    cmocka_unit_test(file_does_not_grow),
					    cmocka_unit_test(file_of_noise),
					    cmocka_unit_test(processes_share_the_tokens) };

	return cmocka_run_group_tests_name(__FILE__, tests, begin, finish);
}
