/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a settings or key file whole. It is a file of its own so that tests can replace it.
 */
#include "lib/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

ssize_t settings_read_file(const char *path, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((got = read(fd, buf + n, size - n)) > 0 || (got < 0 && errno == EINTR)) {
		n += got > 0 ? (size_t)got : 0;
		if (n == size)
			break;
	}
	if (got < 0)
		got = -errno;
	close(fd);
	if (got >= 0 && n == size)
		got = -EFBIG;
	if (got < 0) {
		OPENSSL_cleanse(buf, n); /* it may hold a key */
		return got;
	}
	buf[n] = '\0';
	return (ssize_t)n;
}
