/* SPDX-License-Identifier: Apache-2.0
 *
 * Chooses a guest, seals a payload for its console, and opens it in a session of its own.
 */
#include "setup/trial.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "lib/curl_login.h"
#include "lib/error.h"
#include "lib/jwe.h"
#include "lib/strict_json.h"
#include "setup/report.h"
#include "setup/request.h"
#include "setup/session.h"

enum {
	PAYLOAD_MAX = 2048,    /* bytes of the payload, with its NUL */
	LIFETIME_S = 60,       /* of the payload */
	NAME_MAX_LEN = 64 + 1, /* bytes of a guest's name, with its NUL; a longer one is cut off */
};

struct guest {
	uint32_t vmid;
	const char *type; /* static storage */
	char name[NAME_MAX_LEN];
	bool running;
};

/* Reads an entry of /cluster/resources. Returns false for what is no guest, and for templates,
 * which have no console. */
static bool read_guest(struct json_object *entry, struct guest *ret)
{
	const char *type = request_text(entry, "type");

	ret->vmid = (uint32_t)strict_json_integer(entry, "vmid", CONSOLE_VMID_MAX);
	ret->type = strcmp(type, "qemu") == 0 ? "qemu" : strcmp(type, "lxc") == 0 ? "lxc" : NULL;
	ret->running = strcmp(request_text(entry, "status"), "running") == 0;
	snprintf(ret->name, sizeof(ret->name), "%s", request_text(entry, "name"));
	return ret->vmid > 0 && ret->type && !request_flag(entry, "template", false);
}

/* Chooses a guest: vmid, or if it is 0 the running one with the lowest number. Sets *ret_n to the
 * number of guests. Returns false if there is none. */
static bool choose_guest(struct json_object *list, uint32_t vmid, struct guest *ret, size_t *ret_n)
{
	struct guest guest;
	bool found = false;

	*ret_n = 0;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		if (!read_guest(json_object_array_get_idx(list, i), &guest))
			continue;
		++*ret_n;
		if (vmid ? guest.vmid != vmid : !guest.running || (found && guest.vmid > ret->vmid))
			continue;
		*ret = guest;
		found = true;
	}
	return found;
}

/* Asks Proxmox which guests the token can see, which also shows that the token works. */
static int find_guest(struct setup *s, struct guest *ret, bool *ret_found)
{
	struct json_object *answer, *list;
	struct api api;
	size_t n = 0;
	int rc;

	request_prepare(s, &api, strchr(s->token, '=') + 1);
	if (api_use_token(&api, s->token) < 0)
		return report_error(EX_OSERR, "%s", api.why);
	rc = request_list(&api, "/cluster/resources", "type=vm", &answer, &list);
	*ret_found = rc == EX_OK && choose_guest(list, s->options.vmid, ret, &n);
	strict_json_wipe(answer);
	api_end(&api);
	if (rc != EX_OK || *ret_found)
		return rc;
	if (s->options.vmid)
		return report_error(EX_UNAVAILABLE,
				    "there is no guest %u that the token can see. Check the number, and --path",
				    s->options.vmid);
	report_step("console",
		    n == 0 ? "not tried: the token can see no guest. Is there one yet, on the path that it was "
			     "given?" :
			     "not tried: none of the guests is running. --vmid chooses one");
	return EX_OK;
}

/* Seals a payload for the guest's console. */
static int seal(const struct setup *s, const struct guest *guest, char payload[PAYLOAD_MAX])
{
	struct json_object *details = json_object_new_object();
	const char *text;
	size_t len;
	int rc;

	strict_json_add_integer(details, "vmid", guest->vmid);
	strict_json_add_string(details, "type", guest->type);
	strict_json_add_string(details, "cluster", s->name);
	strict_json_add_string(details, "sub", "proxxy-setup");
	strict_json_add_integer(details, "iat", time(NULL));
	strict_json_add_integer(details, "exp", time(NULL) + LIFETIME_S);
	text = json_object_to_json_string_length(details, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
						 &len);
	rc = jwe_seal(&s->config.keys[0], (const uint8_t *)text, len, payload, PAYLOAD_MAX);
	strict_json_wipe(details);
	return rc < 0 ? report_error(EX_SOFTWARE, "the payload cannot be sealed") : EX_OK;
}

int trial_run(struct setup *s, uint32_t *ret_vmid, bool *ret_container)
{
	char payload[PAYLOAD_MAX], why[SESSION_WHY_MAX];
	struct guest guest = { 0 };
	const char *words;
	bool found = false;
	int rc = find_guest(s, &guest, &found);

	*ret_vmid = 0;
	*ret_container = false;
	if (rc != EX_OK || !found)
		return rc;
	words = strcmp(guest.type, "qemu") == 0 ? "VM" : "container";
	report_step("console", "opening the console of %s %u%s%s%s", words, guest.vmid, *guest.name ? " (" : "",
		    guest.name, *guest.name ? ")" : "");
	rc = seal(s, &guest, payload);
	if (rc != EX_OK)
		return rc;
	rc = session_try(payload, s->config.allowed_origins, s->config.connect_timeout, why, sizeof(why));
	OPENSSL_cleanse(payload, sizeof(payload));
	if (rc < 0)
		return report_error(
			report_status(rc, 0),
			"the console of %s %u did not open: %s%s. What was made stays: to try again, run the "
			"same command",
			words, guest.vmid, why,
			guest.running ? "" : ". It is not running: start it, or choose another guest");
	*ret_vmid = guest.vmid;
	*ret_container = strcmp(guest.type, "lxc") == 0;
	report_step("", "OK: the console of %s %u%s%s%s opened", words, guest.vmid, *guest.name ? " (" : "", guest.name,
		    *guest.name ? ")" : "");
	return EX_OK;
}
