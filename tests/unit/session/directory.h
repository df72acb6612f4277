/* SPDX-License-Identifier: Apache-2.0
 *
 * A temporary directory for the tests of slots, rates and limits. It is removed at the end.
 */
#ifndef PROXXY_TESTS_DIRECTORY_H
#define PROXXY_TESTS_DIRECTORY_H

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "tests/unit/guard.h"

static char path[] = "/tmp/proxxy-test-limits.XXXXXX";
static int directory = -1;

static int erase(const char *name, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(name);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(path))
		return -1;
	directory = open(path, O_PATH | O_DIRECTORY);
	return directory >= 0 ? 0 : -1;
}

static int finish(void **state)
{
	print_checks(state);
	close(directory);
	return nftw(path, erase, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
