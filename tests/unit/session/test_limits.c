/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests limits.h: which clients, guests and subs are one, in which order limits apply, and that a
 * session goes on if the directory cannot be used.
 */
#include "tests/unit/session/directory.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/error.h"
#include "session/limits.h"

static void clients_that_are_one(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} table[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "192.0.2.1", "64:ff9b::192.0.2.1", true },
		{ "192.0.2.2", "64:ff9b::192.0.2.1", false },
		{ "192.0.2.1", "64:ff9c::192.0.2.1", false },
		{ "192.0.2.1", "ff00:0:c000:201::", true }, /* no client has a multicast address */
		{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "2001:db8:1::1", "2001:db8::1", false },
		{ "::1", "::2", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		CHECK((limits_client_key(table[i].a) == limits_client_key(table[i].b)) == table[i].same, "%s and %s",
		      table[i].a, table[i].b);
	CHECK(limits_client_key("") == 0 && limits_client_key("unix") == 0 && limits_client_key("192.0.2") == 0,
	      "no address");
	CHECK(limits_client_key("0.0.0.0") != 0, "the lowest address");
}

static struct config settings(void)
{
	struct config config = { .upstream_port = 8006 };

	snprintf(config.state_directory, sizeof(config.state_directory), "%s", path);
	return config;
}

static struct access console_of(const char *host, unsigned vmid, const char *type, const char *sub)
{
	struct access access = { .kid = "main", .console = { .vmid = vmid, .type = type } };

	snprintf(access.console.host, sizeof(access.console.host), "%s", host);
	snprintf(access.claims.sub, sizeof(access.claims.sub), "%s", sub);
	return access;
}

/* Runs a session in a process of its own, which keeps its slots until release(). Returns its
 * result. */
static int pids[64], n_pids;
static char warned[LIMITS_WHY_MAX];

static void note(const char *message)
{
	assert_string_equal(warned, "");
	snprintf(warned, sizeof(warned), "%s", message);
}

/* Begins another session in this process. */
static struct limits new_session(void)
{
	*warned = '\0';
	return (struct limits){ .warn = note };
}

static int session_of(const struct config *config, const struct client *client, const struct access *access)
{
	int told[2], rc = 1;

	assert_int_equal(pipe(told), 0);
	pids[n_pids] = fork();
	if (pids[n_pids] == 0) {
		struct limits l = new_session();

		rc = client ? limits_admit_client(&l, config, client) : OK;
		if (rc == OK && access)
			rc = limits_admit_console(&l, config, access);
		if ((rc < 0) != (*l.why != '\0') || *warned)
			rc = 2;
		if (write(told[1], &rc, sizeof(rc)) != sizeof(rc))
			_exit(1);
		for (;;)
			pause();
	}
	n_pids++;
	assert_int_equal(read(told[0], &rc, sizeof(rc)), sizeof(rc));
	close(told[0]);
	close(told[1]);
	return rc;
}

static void release(void)
{
	while (n_pids > 0) {
		kill(pids[--n_pids], SIGKILL);
		assert_int_equal(waitpid(pids[n_pids], NULL, 0), pids[n_pids]);
	}
}

static void clients_have_limits_of_their_own(void **state)
{
	const struct client a = { .address = "192.0.2.1" }, b = { .address = "2001:db8::1" },
			    beside_b = { .address = "2001:db8::2" },
			    proxy = { .address = "192.0.2.1", .is_proxy = true }, nobody = { .address = "" };
	struct config config = settings();

	(void)state;
	config.max_per_client = 2;
	for (int i = 0; i < 2; i++) {
		CHECK_INT(session_of(&config, &a, NULL), OK, "IPv4, %d", i);
		CHECK_INT(session_of(&config, i ? &b : &beside_b, NULL), OK, "IPv6, %d", i);
	}
	CHECK_INT(session_of(&config, &a, NULL), ERR_LIMIT_CLIENT, "IPv4");
	CHECK_INT(session_of(&config, &b, NULL), ERR_LIMIT_CLIENT, "IPv6");
	for (int i = 0; i < 3; i++) {
		CHECK_INT(session_of(&config, &proxy, NULL), OK, "a proxy's address has no limit");
		CHECK_INT(session_of(&config, &nobody, NULL), OK, "nor has an unknown one");
	}
	config.max_sessions = 3;
	for (int i = 0; i < 3; i++)
		CHECK_INT(session_of(&config, i ? &proxy : &nobody, NULL), OK, "but they count in the total");
	CHECK_INT(session_of(&config, &proxy, NULL), ERR_LIMIT_TOTAL, "total");
	CHECK_INT(session_of(&config, &nobody, NULL), ERR_LIMIT_TOTAL, "total");
	release();
	CHECK_INT(session_of(&config, &a, NULL), OK, "all have ended");
	config.new_per_minute = 3;
	CHECK_INT(session_of(&config, &a, NULL), OK, "a token");
	CHECK_INT(session_of(&config, &a, NULL), ERR_LIMIT_CLIENT, "no token is taken");
	release();
	CHECK_INT(session_of(&config, &a, NULL), OK, "two tokens");
	CHECK_INT(session_of(&config, &a, NULL), OK, "three tokens");
	release();
	CHECK_INT(session_of(&config, &a, NULL), ERR_LIMIT_RATE, "no token");
	CHECK_INT(session_of(&config, &proxy, NULL), OK, "a proxy");
	release();
}

static void guests_and_subs(void **state)
{
	struct config config = settings();
	struct access a = console_of("pve", 100, "qemu", "alice"), other = a;

	(void)state;
	config.max_per_guest = 1;
	CHECK_INT(session_of(&config, NULL, &a), OK, "the guest");
	CHECK_INT(session_of(&config, NULL, &a), ERR_LIMIT_GUEST, "the same one");
	other.console.vmid = 101;
	CHECK_INT(session_of(&config, NULL, &other), OK, "another vmid");
	other = console_of("pve", 100, "lxc", "alice");
	CHECK_INT(session_of(&config, NULL, &other), OK, "another type");
	other = console_of("pve2", 100, "qemu", "alice");
	CHECK_INT(session_of(&config, NULL, &other), OK, "another host");
	other = a;
	other.console.host_port = 8006;
	CHECK_INT(session_of(&config, NULL, &other), ERR_LIMIT_GUEST, "the default's port");
	snprintf(other.cluster.name, sizeof(other.cluster.name), "pve");
	CHECK_INT(session_of(&config, NULL, &other), OK, "a cluster of the host's name");
	snprintf(other.console.host, sizeof(other.console.host), "pve9");
	CHECK_INT(session_of(&config, NULL, &other), ERR_LIMIT_GUEST, "another host of this cluster");
	release();

	config.max_per_guest = 0;
	config.max_per_sub = 1;
	CHECK_INT(session_of(&config, NULL, &a), OK, "the sub");
	other = console_of("pve2", 500, "lxc", "alice");
	CHECK_INT(session_of(&config, NULL, &other), ERR_LIMIT_SUB, "at another guest");
	snprintf(other.kid, sizeof(other.kid), "second");
	CHECK_INT(session_of(&config, NULL, &other), OK, "of another key");
	for (int i = 0; i < 2; i++) {
		other = console_of("pve", 100, "qemu", "");
		CHECK_INT(session_of(&config, NULL, &other), OK, "no sub");
	}
	release();
	config.max_per_sub = 0;
	for (int i = 0; i < 2; i++)
		CHECK_INT(session_of(&config, NULL, &a), OK, "0 is none");
	release();
}

/* The session goes on, and the log gets a reason. */
static void directory_cannot_be_used(void **state)
{
	const struct client client = { .address = "192.0.2.1" };
	const struct access access = console_of("pve", 100, "qemu", "alice");
	struct config config = settings(), none = settings();
	struct limits l;
	char why[400] = "";

	(void)state;
	config.max_per_client = config.new_per_minute = config.max_per_guest = config.max_per_sub = 1;
	snprintf(config.state_directory, sizeof(config.state_directory), "%.100s/none", path);
	snprintf(none.state_directory, sizeof(none.state_directory), "%s", config.state_directory);
	CHECK(!limits_check(&config, why, sizeof(why)) && strstr(why, "none cannot be used: No such file"), "%s", why);
	CHECK(strstr(why, "Limits are not enforced without it, and links with a jti are refused"), "%s", why);
	for (int i = 0; i < 3; i++) {
		l = new_session();
		CHECK_INT(limits_admit_client(&l, &config, &client), OK, "client");
		CHECK(strstr(warned, "none/limits cannot be used: No such file"), "%s", warned);
		CHECK_INT(limits_admit_console(&l, &config, &access), OK, "console");
		CHECK(!*l.why, "%s", l.why); /* note() has checked that it is said once */
	}
	l = new_session();
	CHECK_INT(limits_admit_console(&l, &config, &access), OK, "a proxy's client");
	CHECK(strstr(warned, "none/limits cannot be used"), "%s", warned);
	l = new_session();
	CHECK_INT(limits_admit_client(&l, &none, &client), OK, "no limits");
	CHECK_INT(limits_admit_console(&l, &none, &access), OK, "no limits");
	CHECK(!*warned, "no limits need no directory: %s", warned);
	CHECK(!limits_check(&none, why, sizeof(why)) && strstr(why, ". Links with a jti are refused"), "%s", why);

	/* A file in the directory's place. */
	config = settings();
	config.max_per_guest = 1;
	snprintf(config.state_directory, sizeof(config.state_directory), "%.100s/file", path);
	close(open(config.state_directory, O_WRONLY | O_CREAT, 0600));
	CHECK(!limits_check(&config, why, sizeof(why)) && strstr(why, "file cannot be used: Not a dir"), "%s", why);
	l = new_session();
	CHECK_INT(limits_admit_console(&l, &config, &access), OK, "a file");
	CHECK(strstr(warned, "Not a directory"), "%s", warned);
}

static void when_to_come_back(void **state)
{
	const struct limits l = { .rate_seconds = 7 };

	(void)state;
	CHECK_INT(limits_retry_after(&l, ERR_LIMIT_RATE), 7, "rate");
	for (int code = ERR_LIMIT_CLIENT; code >= ERR_STORE; code--)
		if (code != ERR_LIMIT_RATE)
			CHECK_INT(limits_retry_after(&l, code), LIMITS_RETRY_AFTER, "%s", error_info(code)->name);
	CHECK_INT(limits_retry_after(&l, ERR_PAYLOAD_INVALID), 0, "another error");
	CHECK_INT(limits_retry_after(&l, OK), 0, "none");
}

static void directory_is_the_services(void **state)
{
	char name[300];
	struct stat st;

	(void)state;
	snprintf(name, sizeof(name), "%s/limits", path);
	assert_int_equal(stat(name, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0700, "mode of the directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_that_are_one), cmocka_unit_test(clients_have_limits_of_their_own),
		cmocka_unit_test(guests_and_subs),      cmocka_unit_test(directory_cannot_be_used),
		cmocka_unit_test(when_to_come_back),    cmocka_unit_test(directory_is_the_services)
	};

	return cmocka_run_group_tests_name(__FILE__, tests, begin, finish);
}
