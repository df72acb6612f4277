/* SPDX-License-Identifier: Apache-2.0
 *
 * A check of slices, shared by the tests of http.h.
 */
#ifndef PROXXY_TESTS_SLICES_H
#define PROXXY_TESTS_SLICES_H

#include "tests/unit/guard.h"

#include "lib/http.h"

/* want is NULL if there must be no text, which differs from an empty one. */
static inline void check_slice(struct slice s, const char *want, const char *name, const char *what)
{
	if (!want)
		CHECK(s.at == NULL, "%s: %s", name, what);
	else
		CHECK(slice_is(s, want), "%s: %s is '%.*s', not '%s'", name, what, (int)s.len, s.at ? s.at : "", want);
}

#endif
