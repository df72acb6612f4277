/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads settings from the environment, the settings file and its drop-in directory, and prints
 * them.
 */
#include "lib/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/slice.h"

enum {
	NAME_SIZE = 256,         /* bytes of a file's name, with its NUL: NAME_MAX + 1 */
	ENTRIES_SIZE = 2 * 1024, /* bytes of directory entries that are read at once; one has up to 280 */
};

/* The names of the drop-in files, sorted in byte order. */
struct listing {
	size_t n;
	char names[SETTINGS_FILES_MAX][NAME_SIZE];
};

/* What settings_load() was called with. */
struct context {
	const struct settings *settings;
	void *config;
	char *why;
	size_t why_size;
	bool only_file; /* the environment does not count */
};

bool settings_parse_number(void *config, const struct setting *s, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	long number;
	int n;

	if (digits == 0 || digits > 9 || value[digits] != '\0')
		return false;
	number = strtol(value, NULL, 10);
	if (number < s->min || number > s->max)
		return false;
	n = (int)number;
	memcpy((char *)config + s->offset, &n, sizeof(n));
	return true;
}

bool settings_parse_text(void *config, const struct setting *s, const char *value)
{
	const size_t len = strlen(value);

	if (len >= (size_t)s->max)
		return false;
	if (len > 0 || *((const char *)config + s->offset)) /* else do not touch the page */
		memcpy((char *)config + s->offset, value, len + 1);
	return true;
}

static const struct setting *find_setting(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->n; i++)
		if (strcmp(settings->table[i].name, name) == 0)
			return &settings->table[i];
	return NULL;
}

static int set(const struct context *c, const struct setting *s, const char *value, const char *source)
{
	/* The message must not contain the value: it may be a key on the wrong line. */
	if (!s->parse(c->config, s, value))
		return error_why(c->why, c->why_size, ERR_CONFIG, "%s: %s has an invalid value (%s)", source, s->name,
				 s->meaning);
	return OK;
}

/* Removes white space from both ends of s and, if quotes is true, one pair of quotes around the
 * rest. Changes s. Returns the new beginning. */
static char *strip(char *s, bool quotes)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len > 0 && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	if (quotes && len >= 2 && (s[0] == '"' || s[0] == '\'') && s[len - 1] == s[0]) {
		s[len - 1] = '\0';
		s++;
	}
	return s;
}

/* Sets the settings in text, the contents of the file at path, unless the environment sets them. */
static int parse_file(const struct context *c, const char *path, char *text)
{
	int number = 0;

	for (char *line = text, *next; line; line = next) {
		const struct setting *setting;
		char source[SETTINGS_PATH_MAX + 100], *equals;
		int rc;

		number++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line = strip(line, false);
		if (*line == '\0' || *line == '#')
			continue;
		snprintf(source, sizeof(source), "%s line %d", path, number);
		equals = strchr(line, '=');
		if (!equals)
			return error_why(c->why, c->why_size, ERR_CONFIG, "%s is not KEY=VALUE", source);
		*equals = '\0';
		setting = find_setting(c->settings, strip(line, false));
		if (!setting)
			return error_why(c->why, c->why_size, ERR_CONFIG, "%s: there is no such setting", source);
		if (!c->only_file && getenv(setting->name))
			continue;
		rc = set(c, setting, strip(equals + 1, true), source);
		if (rc < 0)
			return rc;
	}
	return OK;
}

/* Loads the file at path. Returns 1, 0 if it is missing, or ERR_CONFIG. If listed is true, the path
 * comes from a directory listing: then a broken link is an error, because the file may have held a
 * restriction. A file that was removed after the listing is no error. */
static int load_file(const struct context *c, const char *path, bool listed)
{
	char *text = malloc(SETTINGS_FILE_MAX);
	struct stat ignored;
	ssize_t n;
	int rc = 0;

	if (!text)
		return error_why(c->why, c->why_size, ERR_CONFIG, "%s: out of memory", path);
	n = settings_read_file(path, text, SETTINGS_FILE_MAX);
	if (n >= 0) {
		if (strlen(text) != (size_t)n)
			rc = error_why(c->why, c->why_size, ERR_CONFIG, "%s contains a NUL byte", path);
		else
			rc = parse_file(c, path, text + byte_order_mark_len(text, (size_t)n));
		rc = rc == OK ? 1 : rc;
		OPENSSL_cleanse(text, (size_t)n);
	} else if (n != -ENOENT || (listed && lstat(path, &ignored) == 0)) {
		rc = error_why(c->why, c->why_size, ERR_CONFIG, "%s: %s", path, strerror((int)-n));
	}
	free(text);
	return rc;
}

/* Returns true for *.conf, but not for hidden files. So files that editors and dpkg leave are
 * ignored: site.conf~, site.conf.dpkg-old. */
static bool is_settings_name(const char *name)
{
	static const char end[] = ".conf";
	const size_t len = strlen(name);

	return *name != '.' && len > strlen(end) && len < NAME_SIZE && strcmp(name + len - strlen(end), end) == 0;
}

/* Inserts a name at its place in the order. Returns 0, or -E2BIG if the list is full. */
static int insert(struct listing *l, const char *name)
{
	size_t at = l->n;

	if (l->n == SETTINGS_FILES_MAX)
		return -E2BIG;
	while (at > 0 && strcmp(l->names[at - 1], name) > 0)
		at--;
	memmove(l->names[at + 1], l->names[at], (l->n - at) * sizeof(l->names[0]));
	memcpy(l->names[at], name, strlen(name) + 1);
	l->n++;
	return 0;
}

/* Lists a directory. The caller frees *ret; it is NULL if the directory is missing or has no
 * settings files. Does not use opendir(), whose buffer of 32 KiB would stay in each session's
 * memory.
 * Returns 0 or -errno; -E2BIG for more than SETTINGS_FILES_MAX files. */
static int list_directory(const char *path, struct listing **ret)
{
	_Alignas(struct dirent64) char entries[ENTRIES_SIZE];
	struct listing *l = NULL;
	ssize_t got = 0;
	int rc = 0, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while (rc == 0 && (got = getdents64(fd, entries, sizeof(entries))) > 0)
		for (ssize_t at = 0; rc == 0 && at < got;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);

			at += entry->d_reclen;
			if (!is_settings_name(entry->d_name))
				continue;
			if (!l && (l = malloc(sizeof(*l))))
				l->n = 0;
			rc = l ? insert(l, entry->d_name) : -ENOMEM;
		}
	if (rc == 0 && got < 0)
		rc = -errno;
	close(fd);
	if (rc == 0)
		*ret = l;
	else
		free(l);
	return rc;
}

int settings_each_file(const char *directory, settings_use_file *use, void *argument, char *why, size_t size)
{
	char at[SETTINGS_PATH_MAX];
	struct listing *l;
	const int len = snprintf(at, sizeof(at), "%s", directory);
	int rc;

	if (len < 0 || len >= (int)sizeof(at))
		return error_why(why, size, ERR_CONFIG, "%.200s…: the path is too long", directory);
	rc = list_directory(at, &l);
	if (rc == -E2BIG)
		return error_why(why, size, ERR_CONFIG, "%s contains more than %d files", at, SETTINGS_FILES_MAX);
	if (rc < 0)
		return error_why(why, size, ERR_CONFIG, "%s: %s", at, strerror(-rc));
	for (size_t i = 0; l && rc == OK && i < l->n; i++) {
		if ((size_t)snprintf(at + len, sizeof(at) - (size_t)len, "/%s", l->names[i]) < sizeof(at) - (size_t)len)
			rc = use(argument, at);
		else
			rc = error_why(why, size, ERR_CONFIG, "%.200s…: the path is too long", at);
	}
	free(l);
	return rc;
}

/* Calls use for each drop-in file of the file at path, as settings_each_file(). */
static int each_drop_in(const char *path, settings_use_file *use, const struct context *c)
{
	char directory[SETTINGS_PATH_MAX];
	const int len = snprintf(directory, sizeof(directory), "%s" SETTINGS_DIRECTORY_SUFFIX, path);

	if (len < 0 || len >= (int)sizeof(directory))
		return error_why(c->why, c->why_size, ERR_CONFIG, "%.200s…: the path is too long", path);
	return settings_each_file(directory, use, (void *)(uintptr_t)c, c->why, c->why_size);
}

static int load_drop_in(void *context, const char *path)
{
	const int rc = load_file(context, path, true);

	return rc < 0 ? rc : OK;
}

/* Sets s from the environment, if it is there, without one pair of quotes: Docker passes the lines
 * of an environment file on with the quotes that systemd and shells remove. */
static int set_from_environment(const struct context *c, const struct setting *s)
{
	const char *value = getenv(s->name);
	char unquoted[SETTINGS_VALUE_MAX];
	int rc;

	if (!value || (*value != '"' && *value != '\'') || strlen(value) >= sizeof(unquoted))
		return value ? set(c, s, value, "environment") : OK;
	memcpy(unquoted, value, strlen(value) + 1);
	rc = set(c, s, strip(unquoted, true), "environment");
	OPENSSL_cleanse(unquoted, sizeof(unquoted));
	return rc;
}

int settings_load(const struct settings *settings, void *config, const char *path, char *why, size_t size)
{
	const struct context c = { settings, config, why, size, false };
	int rc = OK;

	for (size_t i = 0; i < settings->n && rc == OK; i++)
		rc = set(&c, &settings->table[i], settings->table[i].fallback, "default");
	for (size_t i = 0; i < settings->n && rc == OK; i++)
		rc = set_from_environment(&c, &settings->table[i]);
	if (rc == OK)
		rc = load_file(&c, path, false);
	return rc >= 0 ? each_drop_in(path, load_drop_in, &c) : rc;
}

int settings_load_file(const struct settings *settings, void *config, const char *path, char *why, size_t size)
{
	const struct context c = { settings, config, why, size, true };
	int rc = OK;

	for (size_t i = 0; i < settings->n && rc == OK; i++)
		rc = set(&c, &settings->table[i], settings->table[i].fallback, "default");
	return rc == OK ? load_file(&c, path, false) : rc;
}

/* Prints the path of a file that exists. */
static int print_name(void *out, const char *path)
{
	struct stat found;

	if (stat(path, &found) == 0)
		fprintf(out, "settings are read from %s\n", path);
	return OK;
}

void settings_print_files(const char *path, FILE *out)
{
	char why[SETTINGS_PATH_MAX], directory[SETTINGS_PATH_MAX];

	print_name(out, path);
	if (snprintf(directory, sizeof(directory), "%s" SETTINGS_DIRECTORY_SUFFIX, path) < (int)sizeof(directory))
		settings_each_file(directory, print_name, out, why, sizeof(why)); /* settings_load() reports errors */
}

void settings_print_names(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < settings->n; i++)
		fprintf(out, i % 3 == 2 || i + 1 == settings->n ? "  %s\n" : "  %-24s", settings->table[i].name);
}

void settings_print_file(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < settings->n; i++)
		fprintf(out, "\n# %s.\n#%s=%s\n", settings->table[i].meaning, settings->table[i].name,
			settings->table[i].fallback);
}
