/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests counters_file.h: each time and each code has its counter, and a file that is not of this
 * layout is not read.
 */
#include "tests/unit/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/counters_file.h"
#include "lib/error.h"

static char directory[] = "/tmp/proxxy-test-counters-file.XXXXXX";
static char path[64];

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/" COUNTERS_NAME, directory);
	return 0;
}

static int finish(void **state)
{
	print_checks(state);
	unlink(path);
	return rmdir(directory);
}

static void bounds_are_in_order(void **state)
{
	const uint32_t *const all[] = { counters_connecting_bounds, counters_duration_bounds };

	(void)state;
	for (size_t h = 0; h < COUNT(all); h++) {
		CHECK_INT(counters_bucket(all[h], INT64_MIN), 0, "a clock that was set");
		CHECK_INT(counters_bucket(all[h], 0), 0, "histogram %zu", h);
		for (size_t i = 0; i < COUNTERS_BOUNDS; i++) {
			CHECK(i == 0 || all[h][i] > all[h][i - 1], "histogram %zu, bound %zu", h, i);
			CHECK_INT(counters_bucket(all[h], all[h][i]), i, "histogram %zu, bound %zu", h, i);
			CHECK_INT(counters_bucket(all[h], all[h][i] + INT64_C(1)), i + 1, "histogram %zu, bound %zu", h,
				  i);
		}
		CHECK_INT(counters_bucket(all[h], INT64_MAX), COUNTERS_BOUNDS, "histogram %zu", h);
	}
}

/* Every code of error.h has a counter of its own; all others share one. */
static void each_code_has_its_counter(void **state)
{
	size_t known = 0;

	(void)state;
	for (int code = 0; code > -1000; code--) {
		const bool in_table = strcmp(error_info(code)->name, "internal") != 0;

		known += in_table;
		if (in_table)
			CHECK_INT(counters_index(code), -code, "code %d", code);
		CHECK(counters_index(code) < COUNTERS_CODES, "code %d", code);
		if (code <= -COUNTERS_OTHER)
			CHECK(!in_table && counters_index(code) == COUNTERS_OTHER, "code %d", code);
	}
	CHECK(known > 40, "codes");
	CHECK_INT(counters_index(1), COUNTERS_OTHER, "1");
	CHECK_INT(counters_index(INT32_MAX), COUNTERS_OTHER, "INT_MAX");
	CHECK_INT(counters_index(INT32_MIN), COUNTERS_OTHER, "INT_MIN");
}

static void put(const void *bytes, size_t size)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void only_this_layout_is_read(void **state)
{
	struct counters good, other, got;

	(void)state;
	counters_init(&good);
	good.opened = 7;
	good.ended[COUNTERS_OTHER] = 9;
	assert_int_equal(counters_file_read(directory, &got), -ENOENT);
	put(&good, sizeof(good));
	assert_int_equal(counters_file_read(directory, &got), 0);
	assert_memory_equal(&got, &good, sizeof(good));

	memset(&got, 0xEE, sizeof(got));
	put(&good, sizeof(good) - 1);
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	put(&good, 0);
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	other = good;
	other.version++;
	put(&other, sizeof(other));
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	other = good;
	other.size--;
	put(&other, sizeof(other));
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	other = good;
	other.magic[7] ^= 1;
	put(&other, sizeof(other));
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	for (size_t i = 0; i < sizeof(got); i++)
		CHECK_INT(((uint8_t *)&got)[i], 0xEE, "an error changes nothing, byte %zu", i);
}

/* Nothing in the directory makes a reader wait. */
static void other_kinds_of_files_are_not_read(void **state)
{
	struct counters got;

	(void)state;
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	assert_int_equal(counters_file_open(directory, O_RDWR), -EINVAL);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(counters_file_read(directory, &got), -EINVAL);
	assert_int_equal(counters_file_open(directory, O_RDWR), -EINVAL);
	rmdir(path);
	assert_int_equal(counters_file_read("/nonexistent", &got), -ENOENT);
	assert_int_equal(counters_file_read("/dev/null", &got), -ENOTDIR);
}

static void long_path_is_refused(void **state)
{
	char name[2 * COUNTERS_PATH_MAX];
	struct counters got;

	(void)state;
	memset(name, '/', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(counters_file_read(name, &got), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_in_order),      cmocka_unit_test(each_code_has_its_counter),
		cmocka_unit_test(only_this_layout_is_read), cmocka_unit_test(other_kinds_of_files_are_not_read),
		cmocka_unit_test(long_path_is_refused),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, begin, finish);
}
