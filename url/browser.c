/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the file that leads to a link, runs the browser's command with it, and removes the file.
 */
#include "url/browser.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"
#include "url/directory.h"
#include "url/program.h"

enum {
	PROGRAM_MAX = 256,
	POLL_US = 50 * 1000, /* how often we check whether the command has ended */
};

#define FILE_NAME "/console.html"

/* A private directory with one file. */
struct place {
	char directory[PATH_MAX - sizeof(FILE_NAME)];
	char file[PATH_MAX];
};

static void remove_place(const struct place *place)
{
	unlink(place->file);
	rmdir(place->directory);
}

/* Writes a page that goes to url. */
static int write_file(const struct place *place, const char *url, char *why, size_t size)
{
	const int fd = open(place->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int failed;

	if (!out) {
		if (fd >= 0)
			close(fd);
		return error_why(why, size, ERR_SYSTEM, "%.200s: %s", place->file, strerror(errno));
	}
	fputs("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
	      "<title>Console</title>\n<a href=\"",
	      out);
	for (const char *at = url; *at; at++)
		fputs(*at == '&' ? "&amp;" : (char[]){ *at, '\0' }, out);
	/* replace() keeps the file out of the browser's history. */
	fputs("\">Open the console</a>\n<script>location.replace(document.links[0].href)</script>\n", out);
	failed = ferror(out);
	failed |= fclose(out);
	return failed ? error_why(why, size, ERR_SYSTEM, "%.200s: %s", place->file, strerror(errno)) : OK;
}

/* Starts a process that removes the file later, even if this process or its terminal ends before
 * that. */
static int remove_later(const struct place *place, char *why, size_t size)
{
	const pid_t pid = fork();

	if (pid < 0)
		return error_why(why, size, ERR_SYSTEM, "fork: %s", strerror(errno));
	if (pid > 0)
		return OK;
	setsid();
	if (chdir("/") != 0)
		_exit(EXIT_FAILURE);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd); /* a caller waits for the end of our output */
	for (unsigned left = BROWSER_FILE_S; left > 0;)
		left = sleep(left);
	remove_place(place);
	_exit(EXIT_SUCCESS);
}

/* Starts program with the file as its only argument. */
static int start(const char *program, const struct place *place, pid_t *ret_pid, char *why, size_t size)
{
	char *argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)place->file, NULL };
	const int rc = program_start(argv, true, ret_pid);

	return rc == 0 ? OK :
			 error_why(why, size, ERR_SYSTEM, "%.100s: %s; BROWSER can name a browser", program,
				   strerror(rc));
}

/* Waits until the browser's command ends, or BROWSER_WAIT_S. */
static int await(const char *program, pid_t pid, char *why, size_t size)
{
	const int64_t deadline = io_now() + BROWSER_WAIT_S * INT64_C(1000);
	int status = 0;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && io_now() < deadline)
		usleep(POLL_US);
	if (ended != pid || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return OK;
	return error_why(why, size, ERR_SYSTEM, "%.100s opened no browser; BROWSER can name one", program);
}

int browser_open(const char *url, char *why, size_t size)
{
	const char *browsers = getenv("BROWSER");
	static struct place place;
	char program[PROGRAM_MAX];
	pid_t pid = -1;
	int rc;

	/* A list with colons is usual; the first program has to do. */
	snprintf(program, sizeof(program), "%.*s", browsers ? (int)strcspn(browsers, ":") : 0,
		 browsers ? browsers : "");
	if (!*program)
		snprintf(program, sizeof(program), "xdg-open");
	rc = directory_make(place.directory, sizeof(place.directory), why, size);
	if (rc < 0)
		return rc;
	snprintf(place.file, sizeof(place.file), "%s" FILE_NAME, place.directory);
	rc = write_file(&place, url, why, size);
	if (rc == OK)
		rc = remove_later(&place, why, size);
	if (rc == OK)
		rc = start(program, &place, &pid, why, size);
	if (rc == OK)
		rc = await(program, pid, why, size);
	if (rc < 0)
		remove_place(&place);
	return rc;
}
