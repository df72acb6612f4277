/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends one session for proxxy-status. systemd says which process the session has; a pidfd makes
 * sure that no other process gets the signal; and the kernel lets this user signal its own
 * processes only, which are sessions.
 */
#include "status/ender.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"
#include "status/bus.h"
#include "status/report.h"
#include "status/session_text.h"

enum {
	REQUEST_TIMEOUT_MS = 5000, /* for the whole request, and for the answer */
	END_MS = 8000,             /* for the session to end after SIGTERM: TimeoutStopSec= of proxxy@.service */
};

/* Reads a line to buf[0..size), without its line feed, NUL-terminated. Returns false if none comes
 * in time, or if it is too long. */
static bool read_line(struct endpoint *client, char *buf, size_t size)
{
	const int64_t deadline = io_now() + REQUEST_TIMEOUT_MS;
	size_t len = 0;

	while (len < size) {
		const ssize_t n = io_read(client, buf + len, size - len);
		char *end;

		if (n == IO_AGAIN) {
			if (io_wait(client, POLLIN, NULL, deadline) < 0)
				return false;
			continue;
		}
		if (n <= 0)
			return false;
		end = memchr(buf + len, '\n', (size_t)n);
		if (end) {
			*end = '\0';
			return true;
		}
		len += (size_t)n;
	}
	return false;
}

/* Sets *ret_path to the D-Bus path of a unit that systemd has loaded; the caller frees it. Returns
 * >= 0, -ESRCH if there is no such unit, or another negative errno. */
static int find_unit(sd_bus *bus, const char *unit, char **ret_path)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *path;
	int rc = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER ".Manager", "GetUnit", &error, &reply, "s",
				    unit);

	if (sd_bus_error_has_name(&error, MANAGER ".NoSuchUnit"))
		rc = -ESRCH;
	sd_bus_error_free(&error);
	if (rc >= 0)
		rc = sd_bus_message_read(reply, "o", &path);
	if (rc >= 0) {
		*ret_path = strdup(path);
		rc = *ret_path ? 0 : -ENOMEM;
	}
	sd_bus_message_unref(reply);
	return rc;
}

/* Returns the pidfd of the unit's main process, -ESRCH if it has none, or another negative errno.
 * Asks systemd again when it has the pidfd: if the pid is still that of the main process, systemd
 * has not reaped it, so the pidfd is not that of a later process with the same pid. */
static int open_main_process(sd_bus *bus, const char *path)
{
	uint32_t pid = 0, again = 0;
	int fd, rc = bus_number(bus, path, SERVICE_INTERFACE, "MainPID", 'u', &pid);

	if (rc < 0)
		return rc;
	if (pid == 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (fd < 0)
		return -errno;
	rc = bus_number(bus, path, SERVICE_INTERFACE, "MainPID", 'u', &again);
	if (rc < 0 || again != pid) {
		close(fd);
		return rc < 0 ? rc : -ESRCH;
	}
	return fd;
}

static int send_signal(int pidfd, int number)
{
	return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

/* Sends SIGTERM to the unit's main process. Returns its pidfd, or a negative errno. */
static int terminate(const char *unit)
{
	sd_bus *bus = NULL;
	char *path = NULL;
	int fd = -1, rc = bus_open(&bus);

	if (rc >= 0)
		rc = find_unit(bus, unit, &path);
	if (rc >= 0)
		rc = fd = open_main_process(bus, path);
	if (rc >= 0)
		rc = send_signal(fd, SIGTERM);
	if (rc < 0 && fd >= 0)
		close(fd);
	free(path);
	sd_bus_flush_close_unref(bus);
	return rc < 0 ? rc : fd;
}

/* Waits until the process ends, and kills it if it does not. Closes pidfd. */
static void wait_end(const char *unit, int pidfd)
{
	const int64_t deadline = io_now() + END_MS;
	struct pollfd fds = { .fd = pidfd, .events = POLLIN };
	int n;

	do
		n = io_poll_until(&fds, 1, deadline);
	while (n < 0 && errno == EINTR && io_now() < deadline);
	if (n <= 0 && send_signal(pidfd, SIGKILL) == 0)
		report("%s did not end within %d s of SIGTERM: sent SIGKILL", unit, END_MS / 1000);
	close(pidfd);
}

int ender_serve(void)
{
	char unit[SESSION_UNIT_MAX + 1]; /* with the line feed */
	struct endpoint client;
	const char *answer = ENDER_DONE;
	int pidfd = -ESRCH;

	if (io_prepare(STDIN_FILENO) < 0)
		return EX_USAGE;
	client = io_endpoint(STDIN_FILENO, NULL);
	if (!read_line(&client, unit, sizeof(unit)))
		return EX_PROTOCOL;
	if (session_is_unit((struct slice){ unit, strlen(unit) }))
		pidfd = terminate(unit);
	if (pidfd < 0)
		answer = pidfd == -ESRCH ? ENDER_GONE : ENDER_FAILED;
	if (pidfd < 0 && pidfd != -ESRCH)
		report("%s cannot be ended: %s", unit, strerror(-pidfd));
	io_write_all(&client, answer, strlen(answer), io_now() + REQUEST_TIMEOUT_MS);
	shutdown(STDIN_FILENO, SHUT_RDWR);
	if (pidfd >= 0)
		wait_end(unit, pidfd);
	return EX_OK;
}
