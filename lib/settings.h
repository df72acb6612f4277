/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads settings, KEY=VALUE, from the environment, else from a settings file and the files of its
 * drop-in directory. Each program defines its settings in one table, from which this module also
 * prints the help and the commented settings file.
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

/* The name of the drop-in directory is the file's name with this suffix: proxxy.conf.d. */
#define SETTINGS_DIRECTORY_SUFFIX ".d"

struct setting {
	const char *name, *fallback, *meaning; /* fallback: the default; meaning: a sentence without full stop */
	/* Stores value in config, the program's struct. Returns false if value is invalid. */
	bool (*parse)(void *config, const struct setting *s, const char *value);
	size_t offset; /* of the member of config that gets the value; 0 if parse does not use it */
	int min, max;  /* limits of a number; for a text, max is its size in bytes, with its NUL */
};

struct settings {
	const struct setting *table;
	size_t n;
};

/* Two functions for struct setting's parse. The first stores a whole number from min to max in an
 * int, the second a text in a char[]. */
bool settings_parse_number(void *config, const struct setting *s, const char *value);
bool settings_parse_text(void *config, const struct setting *s, const char *value);

/* Sets every setting to its fallback, then to its value in the environment, if any. Settings that
 * the environment does not set are then read from the file at path, and from the files of the
 * directory "<path>.d" whose names end in ".conf" and do not begin with a dot, in the byte order of
 * their names. If several lines set one setting, the last one counts. A missing file or directory
 * is no error.
 * Returns 0. Otherwise returns ERR_CONFIG, and a sentence for the log in why[0..size) that names
 * the place and never the value; config then holds the values that were read before the error. */
int settings_load(const struct settings *settings, void *config, const char *path, char *why, size_t size);

/* Sets every setting to its fallback, then to its value in the file at path. Does not read the
 * environment or a drop-in directory. Returns 1, 0 if there is no such file, or ERR_CONFIG as
 * settings_load(). */
int settings_load_file(const struct settings *settings, void *config, const char *path, char *why, size_t size);

/* Calls use(argument, path) for the files of a directory whose names end in ".conf" and do not
 * begin with a dot, in the byte order of their names, until a call does not return 0. A missing
 * directory has no files. Returns the last call's result, or ERR_CONFIG with a sentence in
 * why[0..size). */
typedef int settings_use_file(void *argument, const char *path);
int settings_each_file(const char *directory, settings_use_file *use, void *argument, char *why, size_t size);

/* Reads the whole file at path to buf, which has room for size bytes, NUL-terminated. The caller
 * wipes buf if the file is secret. Returns the file's size, or -errno; -EFBIG if buf is too
 * small. */
ssize_t settings_read_file(const char *path, char *buf, size_t size);

/* Prints the existing files that settings_load() reads, one per line, in that order. Prints no
 * error for a directory that cannot be read: settings_load() reports it. */
void settings_print_files(const char *path, FILE *out);

/* Prints the names of the settings in three columns, for --help. */
void settings_print_names(const struct settings *settings, FILE *out);

/* Prints each setting with its meaning and default, as lines of a commented settings file. */
void settings_print_file(const struct settings *settings, FILE *out);

#endif
