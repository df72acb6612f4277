/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes a private directory.
 */
#include "url/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

int directory_make(char *path, size_t path_size, char *why, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (snprintf(path, path_size, "%s/proxxy-XXXXXX", runtime && *runtime ? runtime : "/tmp") >= (int)path_size)
		return error_why(why, size, ERR_SYSTEM, "XDG_RUNTIME_DIR is too long");
	if (!mkdtemp(path))
		return error_why(why, size, ERR_SYSTEM, "cannot make a directory in %.200s: %s",
				 runtime && *runtime ? runtime : "/tmp", strerror(errno));
	return OK;
}
