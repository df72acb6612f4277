/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings as KEY=VALUE, see settings.h.
 */
#include "lib/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/slice.h"

enum {
	NAME_SIZE = 256,           /* bytes of a file's name, with its NUL: NAME_MAX */
	ENTRIES_SIZE = 2 * 1024,   /* bytes of a directory's entries read at once; one takes up to 280 */
};

/* The names of the drop-in files, in byte order. */
struct listing {
	size_t n;
	char names[SETTINGS_FILES_MAX][NAME_SIZE];
};

struct context {
	const struct settings *settings;
	void *config;
	char *why;
	size_t why_size;
};

int settings_fail(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return ERR_CONFIG;
}

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
	/* The value is not repeated: it may be a key that went to the wrong line. */
	if (!s->parse(c->config, s, value))
		return settings_fail(c->why, c->why_size, "%s: %s has a value that is not understood (%s)", source, s->name, s->meaning);
	return OK;
}

/* Cuts white space off both ends, and one pair of quotes around all of it. */
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
			return settings_fail(c->why, c->why_size, "%s is not KEY=VALUE", source);
		*equals = '\0';
		setting = find_setting(c->settings, strip(line, false));
		if (!setting)
			return settings_fail(c->why, c->why_size, "%s names no setting of proxxy", source);
		if (getenv(setting->name))
			continue;
		rc = set(c, setting, strip(equals + 1, true), source);
		if (rc < 0)
			return rc;
	}
	return OK;
}

/* listed: the name comes from a directory. A broken link is then an error, unlike a missing file:
 * the file may have held a restriction. A name that was removed in the meantime is no error. */
static int load_file(const struct context *c, const char *path, bool listed)
{
	char *text = malloc(SETTINGS_FILE_MAX);
	struct stat ignored;
	ssize_t n;
	int rc = OK;

	if (!text)
		return settings_fail(c->why, c->why_size, "%s: out of memory", path);
	n = settings_read_file(path, text, SETTINGS_FILE_MAX);
	if (n >= 0) {
		if (strlen(text) != (size_t)n)
			rc = settings_fail(c->why, c->why_size, "%s holds a NUL byte", path);
		else
			rc = parse_file(c, path, text + byte_order_mark_len(text, (size_t)n));
		OPENSSL_cleanse(text, (size_t)n);
	} else if (n != -ENOENT || (listed && lstat(path, &ignored) == 0)) {
		rc = settings_fail(c->why, c->why_size, "%s: %s", path, strerror((int)-n));
	}
	free(text);
	return rc;
}

/* False for hidden files and for leftovers of editors and dpkg: site.conf~, site.conf.dpkg-old. */
static bool is_settings_name(const char *name)
{
	static const char end[] = ".conf";
	const size_t len = strlen(name);

	return *name != '.' && len > strlen(end) && len < NAME_SIZE && strcmp(name + len - strlen(end), end) == 0;
}

/* Inserts a name in order. Returns 0 or -E2BIG. */
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

typedef int use_file(const struct context *c, const char *path, bool listed);

/* Calls use for each drop-in file of the file at path, until one call does not return 0.
 * Returns the last call's result, or ERR_CONFIG. */
static int each_drop_in(const char *path, use_file *use, const struct context *c)
{
	char at[SETTINGS_PATH_MAX];
	struct listing *l;
	int rc, len = snprintf(at, sizeof(at), "%s" SETTINGS_DIRECTORY_SUFFIX, path);

	if (len < 0 || len >= (int)sizeof(at))
		return settings_fail(c->why, c->why_size, "%.200s…: its name is too long", path);
	rc = list_directory(at, &l);
	if (rc == -E2BIG)
		return settings_fail(c->why, c->why_size, "%s holds more than %d files", at, SETTINGS_FILES_MAX);
	if (rc < 0)
		return settings_fail(c->why, c->why_size, "%s: %s", at, strerror(-rc));
	for (size_t i = 0; l && rc == OK && i < l->n; i++) {
		if ((size_t)snprintf(at + len, sizeof(at) - (size_t)len, "/%s", l->names[i]) < sizeof(at) - (size_t)len)
			rc = use(c, at, true);
		else
			rc = settings_fail(c->why, c->why_size, "%.200s…: its name is too long", at);
	}
	free(l);
	return rc;
}

/* Docker hands a line of its environment file on with the quotes that other readers of such files take off. */
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
	const struct context c = { settings, config, why, size };
	int rc = OK;

	for (size_t i = 0; i < settings->n && rc == OK; i++)
		rc = set(&c, &settings->table[i], settings->table[i].fallback, "default");
	for (size_t i = 0; i < settings->n && rc == OK; i++)
		rc = set_from_environment(&c, &settings->table[i]);
	if (rc == OK)
		rc = load_file(&c, path, false);
	return rc == OK ? each_drop_in(path, load_file, &c) : rc;
}

/* c->config is the stream. */
static int print_name(const struct context *c, const char *path, bool listed)
{
	struct stat found;

	(void)listed;
	if (stat(path, &found) == 0)
		fprintf(c->config, "settings are read from %s\n", path);
	return OK;
}

void settings_print_files(const char *path, FILE *out)
{
	char why[SETTINGS_PATH_MAX];
	const struct context c = { NULL, out, why, sizeof(why) };

	print_name(&c, path, false);
	each_drop_in(path, print_name, &c); /* settings_load() reports its errors */
}

void settings_print_names(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < settings->n; i++)
		fprintf(out, i % 3 == 2 || i + 1 == settings->n ? "  %s\n" : "  %-24s", settings->table[i].name);
}

void settings_print_file(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < settings->n; i++)
		fprintf(out, "\n# %s.\n#%s=%s\n", settings->table[i].meaning, settings->table[i].name, settings->table[i].fallback);
}
