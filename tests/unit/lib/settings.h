/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the tests of config.h: files in a directory of the test's own, a clean environment, and
 * a load() that checks what every load must fulfil. The tests do not see this machine's
 * /etc/proxxy.
 */
#ifndef PROXXY_TESTS_SETTINGS_H
#define PROXXY_TESTS_SETTINGS_H

#include "tests/unit/guard.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define settings_read_file read_any_file
#include "lib/settings_file.c"
#undef settings_read_file
ssize_t settings_read_file(const char *path, char *buf, size_t size);

#include "lib/config.h"
#include "lib/error.h"

#define K1 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define K2 "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static char directory[] = "/tmp/proxxy-test-config.XXXXXX";
static struct config config;
static char why[512], text[2 * SETTINGS_FILE_MAX];

/* Replaces settings_read_file(), which reads all files, so that the default files under /etc are
 * not found. The real function is included under another name. To replace open() instead would not
 * be reliable: compilers choose among several names for it. */
static bool etc_was_asked;

ssize_t settings_read_file(const char *path, char *buf, size_t size)
{
	if (strncmp(path, "/etc/proxxy/", 12) == 0) {
		etc_was_asked = true;
		return -ENOENT;
	}
	return read_any_file(path, buf, size);
}

static inline const char *path_of(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static inline void write_bytes(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

/* Writes a file of that name, or removes it if content is NULL. */
static inline void write_file(const char *name, const char *content)
{
	if (content)
		write_bytes(name, content, strlen(content));
	else
		unlink(path_of(name));
}

static inline int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
	(void)s, (void)type, (void)ftw;
	return remove(path);
}

static inline int begin(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static inline int finish(void **state)
{
	print_checks(state);
	return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Each test begins with only the file's name and a key in the environment. */
static inline int clean(void **state)
{
	static char name[160];

	(void)state;
	clearenv();
	snprintf(name, sizeof(name), "PROXXY_CONFIG=%s/conf", directory);
	putenv(name);
	setenv("SIGNATURE_KEY", K1, 1);
	write_file("conf", NULL);
	write_file("key", NULL);
	write_file("signature-key", NULL);
	return 0;
}

static inline int load(void)
{
	int rc;

	memset(&config, 0xEE, sizeof(config));
	snprintf(why, sizeof(why), "unset");
	rc = config_load(&config, why, sizeof(why));
	CHECK(rc == 0 || rc == ERR_CONFIG, "%d", rc);
	CHECK(rc == 0 || strlen(why) > 10, "%s", why);
	CHECK(rc < 0 || strcmp(why, "unset") == 0, "%s", why);
	CHECK(!strstr(why, "SECRET") && !strstr(why, "00112233") && !strstr(why, "ffeeddcc"), "no value in: %s", why);
	return rc;
}

/* Loads content as the settings file. */
static inline int load_conf(const char *content)
{
	write_file("conf", content);
	setenv("SIGNATURE_KEY", K1, 1);
	return load();
}

#define RUN_WITH_FILES(tests) cmocka_run_group_tests_name(__FILE__, tests, begin, finish)

#endif
