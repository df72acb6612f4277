/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the answers of proxxy-status. proxxy-status.c, metrics.c and sessions.c call it.
 */
#include "status/answer.h"

#include <string.h>

#include "status/report.h"

/* Frees object. Returns it as JSON text, which the caller frees, or NULL without memory. */
static char *to_text(json_object *object)
{
	char *text =
		strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(object);
	return text;
}

struct answer answer_json(json_object *object)
{
	return (struct answer){ 200, "", to_text(object) };
}

struct answer answer_error(int status, const char *extra, const char *words)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "error", json_object_new_string(words));
	json_object_object_add(object, "code", json_object_new_int(status));
	json_object_object_add(object, "issues", json_object_new_array());
	return (struct answer){ status, extra, to_text(object) };
}

struct answer answer_unavailable(int rc)
{
	report("systemd cannot be queried: %s", strerror(-rc));
	return answer_error(503, "", "systemd cannot be queried");
}
