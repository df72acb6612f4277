/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests counters.h: sessions that count at the same time lose nothing, and whatever happens to the
 * file, no session ends because of it. Each session is a process.
 */
#include "tests/unit/guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/counters_file.h"
#include "lib/error.h"
#include "session/counters.h"

enum { BEGAN = 1000 };

static char directory[] = "/tmp/proxxy-test-counters.XXXXXX";
static char path[64];

static int begin(void **state)
{
	(void)state;
	unsetenv("RUNTIME_DIRECTORY");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/" COUNTERS_NAME, directory);
	return 0;
}

static int finish(void **state)
{
	print_checks(state);
	return rmdir(directory);
}

static int without_file(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct counters read_all(void)
{
	struct counters c;

	assert_int_equal(counters_file_read(directory, &c), 0);
	return c;
}

/* Runs body in a process. Returns its wait(2) status. */
static int in_process(void (*body)(void))
{
	const pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void session_of_a_second(void)
{
	counters_open(directory, BEGAN);
	counters_opened(BEGAN + 30);
	counters_relayed(1, 10, BEGAN + 1000);                         /* too early to add */
	counters_relayed(100, 1000, BEGAN + 30 + COUNTERS_RELAYED_MS); /* adds */
	counters_relayed(101, 1001, BEGAN + 31 + COUNTERS_RELAYED_MS); /* too early again */
	counters_ended(END_CLIENT_CLOSED, 999, 150, 1500);
}

static void one_session(void **state)
{
	struct counters c;
	struct stat st;

	(void)state;
	umask(0077);
	assert_int_equal(in_process(session_of_a_second), 0);
	c = read_all();
	assert_int_equal(c.opened, 1);
	assert_int_equal(c.bytes_up, 150);
	assert_int_equal(c.bytes_down, 1500);
	assert_int_equal(c.ended[-END_CLIENT_CLOSED], 1);
	assert_int_equal(c.connecting.sum_ms, 30);
	assert_int_equal(c.connecting.buckets[counters_bucket(counters_connecting_bounds, 30)], 1);
	assert_int_equal(c.duration.sum_ms, 999);
	assert_int_equal(c.duration.buckets[0], 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644); /* proxxy-status has another user */
}

static void bytes_are_added_while_it_runs(void)
{
	counters_open(directory, BEGAN);
	counters_opened(BEGAN);
	counters_relayed(7, 8, BEGAN + COUNTERS_RELAYED_MS);
	_exit(0); /* as a session that is killed */
}

static void killed_session_has_counted_its_bytes(void **state)
{
	struct counters c;

	(void)state;
	assert_int_equal(in_process(bytes_are_added_while_it_runs), 0);
	c = read_all();
	assert_int_equal(c.bytes_up, 7);
	assert_int_equal(c.bytes_down, 8);
	assert_int_equal(c.duration.sum_ms, 0);
}

static void fewer_bytes_at_the_end(void)
{
	counters_open(directory, BEGAN);
	counters_opened(BEGAN);
	counters_relayed(10, 10, BEGAN + COUNTERS_RELAYED_MS);
	counters_ended(ERR_CLIENT_GONE, 6000, 9, 10); /* one byte did not arrive */
}

static void counters_never_go_back(void **state)
{
	(void)state;
	assert_int_equal(in_process(fewer_bytes_at_the_end), 0);
	assert_int_equal(read_all().bytes_up, 10);
	assert_int_equal(read_all().bytes_down, 10);
}

static void refuse(void)
{
	counters_open(directory, BEGAN);
	counters_refused(ERR_LIMIT_CLIENT);
}

static void end_without_console(void)
{
	counters_open(directory, BEGAN);
	counters_ended(ERR_UPSTREAM_CONNECT, 20000, 0, 0);
}

static void without_a_console_nothing_is_timed(void **state)
{
	struct counters c;

	(void)state;
	assert_int_equal(in_process(refuse), 0);
	assert_int_equal(in_process(end_without_console), 0);
	c = read_all();
	assert_int_equal(c.refused[-ERR_LIMIT_CLIENT], 1);
	assert_int_equal(c.ended[-ERR_UPSTREAM_CONNECT], 1);
	assert_int_equal(c.opened, 0);
	for (size_t i = 0; i <= COUNTERS_BOUNDS; i++)
		CHECK(c.duration.buckets[i] == 0 && c.connecting.buckets[i] == 0, "bucket %zu", i);
}

/* Forty processes begin at once, without a file. */
static void many_at_once(void **state)
{
	enum { PROCESSES = 40, REFUSALS = 500 };
	int start[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(start), 0);
	for (int p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			close(start[1]);
			if (read(start[0], &byte, 1) != 0) /* all begin when the pipe is closed */
				_exit(1);
			session_of_a_second();
			for (int i = 0; i < REFUSALS; i++)
				counters_refused(ERR_PAYLOAD_EXPIRED);
			_exit(0);
		}
	close(start[0]);
	close(start[1]);
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(read_all().opened, PROCESSES);
	assert_int_equal(read_all().refused[-ERR_PAYLOAD_EXPIRED], PROCESSES * REFUSALS);
	assert_int_equal(read_all().duration.sum_ms, PROCESSES * 999);
}

/* A file of another version is replaced, not changed: sessions of that version have it mapped. */
static void other_layout_is_replaced(void **state)
{
	struct counters old;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
	struct stat st;

	(void)state;
	counters_init(&old);
	old.version++;
	old.opened = 5;
	assert_int_equal(write(fd, &old, sizeof(old)), sizeof(old));
	assert_int_equal(in_process(session_of_a_second), 0);
	assert_int_equal(read_all().opened, 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size == sizeof(old) && st.st_nlink == 0);
	assert_int_equal(pread(fd, &old, sizeof(old), 0), sizeof(old));
	assert_int_equal(old.opened, 5);
	close(fd);
}

static void session_of_a_shortened_file(void)
{
	counters_open(directory, BEGAN);
	counters_opened(BEGAN);
	if (truncate(path, 0) < 0)
		_exit(1);
	counters_refused(ERR_SYSTEM);
	counters_relayed(1, 1, BEGAN + COUNTERS_RELAYED_MS);
	counters_ended(END_CLIENT_CLOSED, 9, 9, 9);
	_exit(42);
}

static void shortened_file_ends_no_session(void **state)
{
	const int status = in_process(session_of_a_shortened_file);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(in_process(session_of_a_second), 0); /* the next session makes a new file */
	assert_int_equal(read_all().opened, 1);
}

static void use_shortened_memory(void)
{
	static const struct rlimit none = { 0, 0 };
	volatile char *map;
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGBUS, SIG_DFL); /* a sanitizer has a handler of its own */
	counters_open(directory, BEGAN);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (truncate(path, 0) < 0 || map == MAP_FAILED)
		_exit(1);
	map[0] = 1;
	_exit(0);
}

/* The handler is for the counters only. */
static void another_bus_error_still_ends_the_process(void **state)
{
	const int status = in_process(use_shortened_memory);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void session_without_room(void)
{
	const struct rlimit small = { 100, 100 };

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	session_of_a_second();
}

static void without_room_there_is_no_file(void **state)
{
	DIR *entries;
	struct dirent *entry;

	(void)state;
	assert_int_equal(in_process(session_without_room), 0);
	entries = opendir(directory);
	while ((entry = readdir(entries)))
		CHECK(entry->d_name[0] == '.', "%s was left", entry->d_name);
	closedir(entries);
}

static void session_without_directory(void)
{
	counters_open("/nonexistent", BEGAN);
	counters_opened(BEGAN);
	counters_refused(ERR_SYSTEM);
	counters_relayed(1, 1, BEGAN + COUNTERS_RELAYED_MS);
	counters_ended(END_CLIENT_CLOSED, 1, 1, 1);
}

static void without_a_directory_nothing_is_counted(void **state)
{
	(void)state;
	assert_int_equal(in_process(session_without_directory), 0);
}

/* Only the unit's own directory is used, not that of a service that starts sessions by itself. */
static void other_runtime_directories_are_not_used(void **state)
{
	(void)state;
	setenv("RUNTIME_DIRECTORY", "/run/xinetd", 1);
	assert_int_equal(in_process(session_of_a_second), 0);
	unsetenv("RUNTIME_DIRECTORY");
	assert_int_equal(read_all().opened, 1);
}

#define TEST(function) cmocka_unit_test_teardown(function, without_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_session),
		TEST(killed_session_has_counted_its_bytes),
		TEST(counters_never_go_back),
		TEST(without_a_console_nothing_is_timed),
		TEST(many_at_once),
		TEST(other_layout_is_replaced),
		TEST(shortened_file_ends_no_session),
		TEST(another_bus_error_still_ends_the_process),
		TEST(without_room_there_is_no_file),
		TEST(without_a_directory_nothing_is_counted),
		TEST(other_runtime_directories_are_not_used),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, begin, finish);
}
