/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings as KEY=VALUE: from the environment, else from a settings file and the files of its drop-in
 * directory. A program has one table of settings: it drives reading, the help and the commented file.
 */
#ifndef PROXXY_SETTINGS_H
#define PROXXY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	SETTINGS_VALUE_MAX = 8 * 1024, /* bytes of a value; 64 fingerprints with colons take 6,144 */
	SETTINGS_FILE_MAX = 64 * 1024, /* bytes of a file */
	SETTINGS_FILES_MAX = 64,       /* files in the drop-in directory */
	SETTINGS_PATH_MAX = 4096,      /* bytes of a path, with its NUL: PATH_MAX */
};

/* The drop-in directory's name is the file's name with this suffix: proxxy.conf.d. */
#define SETTINGS_DIRECTORY_SUFFIX ".d"

struct setting {
	const char *name, *fallback, *meaning;
	/* Takes value into config. Returns false when it is not a value of this kind. */
	bool (*parse)(void *config, const struct setting *s, const char *value);
	size_t offset; /* of the member of config that it goes to */
	int min, max;  /* of a number; max is a text's size in bytes, with its NUL */
};

struct settings {
	const struct setting *table;
	size_t n;
};

/* Puts a sentence into why[0..size). Returns ERR_CONFIG. */
int settings_fail(char *why, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Two kinds for a table's parse: a whole number that goes to an int, and any text that goes to a char[]. */
bool settings_parse_number(void *config, const struct setting *s, const char *value);
bool settings_parse_text(void *config, const struct setting *s, const char *value);

/* Gives every setting its fallback, then its value from the environment. Settings that the
 * environment does not set are then read from the file at path, and from the files of the directory
 * "<path>.d" whose names end in ".conf" and do not begin with a dot, in the byte order of their
 * names. If several lines set one setting, the last one counts. A missing file or directory is no
 * error.
 * Returns 0, or ERR_CONFIG with a sentence for the log in why[0..size) that names the place and
 * never the value. What was understood before is in config in either case. */
int settings_load(const struct settings *settings, void *config, const char *path, char *why, size_t size);

/* Reads a small file whole, NUL-terminated. Returns its size, or -errno; -EFBIG when it does not fit. */
ssize_t settings_read_file(const char *path, char *buf, size_t size);

/* Prints which existing files settings_load() reads, one a line, in its order. Prints no error for
 * a directory that cannot be read: settings_load() reports it. */
void settings_print_files(const char *path, FILE *out);

/* Prints the names, for --help; and with defaults and meanings, as the commented file's body. */
void settings_print_names(const struct settings *settings, FILE *out);
void settings_print_file(const struct settings *settings, FILE *out);

#endif
