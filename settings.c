/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings as KEY=VALUE, see settings.h.
 */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

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

static int load_file(const struct context *c, const char *path)
{
	char *text = malloc(SETTINGS_FILE_MAX);
	ssize_t n;
	int rc = OK;

	if (!text)
		return settings_fail(c->why, c->why_size, "%s: out of memory", path);
	n = settings_read_file(path, text, SETTINGS_FILE_MAX);
	if (n >= 0) {
		if (strlen(text) != (size_t)n)
			rc = settings_fail(c->why, c->why_size, "%s holds a NUL byte", path);
		else
			rc = parse_file(c, path, text);
		OPENSSL_cleanse(text, (size_t)n);
	} else if (n != -ENOENT) {
		rc = settings_fail(c->why, c->why_size, "%s: %s", path, strerror((int)-n));
	}
	free(text);
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
	return rc == OK ? load_file(&c, path) : rc;
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
