/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests config.h (settings): defaults, the file, the environment over it, each kind of value, and
 * errors that name the place and never the value.
 */
#include "tests/unit/lib/settings.h"

#include <limits.h>

#define F1 "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define F1_COLONS "A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90:A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90"

static void check_defaults(void)
{
	uint8_t key[CRYPTO_KEY_LEN];

	assert_int_equal(config.n_keys, 1);
	assert_string_equal(config.keys[0].kid, "");
	assert_int_equal(crypto_hex(K1, 64, key, sizeof(key)), 0);
	assert_memory_equal(config.keys[0].key, key, sizeof(key));
	assert_int_equal(config.n_fingerprints, 0);
	assert_string_equal(config.ca_file, "");
	assert_true(config.tls_verify);
	assert_true(config.accept_cbc && config.accept_jwe);
	assert_int_equal(config.payload_lifetime, 300);
	assert_string_equal(config.state_directory, "/var/lib/proxxy");
	assert_string_equal(config.readable, "");
	assert_string_equal(config.allowed_hosts, "");
	assert_string_equal(config.allowed_origins, "");
	assert_int_equal(config.client_source, CLIENT_PEER);
	assert_string_equal(config.trusted_proxies, "127.0.0.0/8,::1,unix");
	assert_int_equal(config.upstream_port, 8006);
	assert_int_equal(config.port, 8443);
	assert_int_equal(config.request_timeout, 10);
	assert_int_equal(config.connect_timeout, 20);
	assert_int_equal(config.not_before, 0);
	assert_string_equal(config.cluster_directory, "/etc/proxxy/clusters");
	assert_int_equal(config.ping_interval, 20);
	assert_int_equal(config.idle_timeout, 0);
	assert_int_equal(config.session_max, 0);
	assert_int_equal(config.log, LOG_TO_AUTO);
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(load(), 0); /* a missing file is no error */
	check_defaults();
	assert_int_equal(load_conf(""), 0);
	check_defaults();
	assert_int_equal(load_conf("\n\n  \n\t\n# PORT=1\n   # PORT=2\n#\n"), 0);
	check_defaults();

	/* If the name is unset or empty, the file under /etc is used. */
	for (int i = 0; i < 2; i++) {
		if (i == 0)
			setenv("PROXXY_CONFIG", "", 1);
		else
			unsetenv("PROXXY_CONFIG");
		setenv("SIGNATURE_KEY", K1, 1);
		setenv("PROXXY_KEY_FILE", "/etc/proxxy/signature.key", 1); /* the default, set explicitly */
		etc_was_asked = false;
		assert_int_equal(load(), 0);
		assert_true(etc_was_asked);
		check_defaults();
	}
}

static void file_and_environment(void **state)
{
	(void)state;
	assert_int_equal(load_conf("PROXXY_UPSTREAM_PORT=443\n"
				   "  PROXXY_CONNECT_TIMEOUT = 3 \n"
				   "\tPROXXY_REQUEST_TIMEOUT\t=\t\"4\"\t\n"
				   "PROXXY_PING_INTERVAL='5'\r\n"
				   "# a comment with = in it\n"
				   "PROXXY_IDLE_TIMEOUT=6\n"
				   "PROXXY_IDLE_TIMEOUT=7\n"
				   "PROXXY_SESSION_MAX=08\n"
				   "PROXXY_CA_FILE=\"/etc/a b=c#d.pem\"\n"
				   "PROXXY_FINGERPRINTS=" F1 ", " F1_COLONS " ,\n"
				   "PROXXY_TLS_VERIFY=Off\n"
				   "PROXXY_PAYLOADS=jwe\n"
				   "PROXXY_PAYLOAD_LIFETIME=9\n"
				   "PROXXY_NOT_BEFORE=1800000000\n"
				   "PROXXY_CLUSTER_DIRECTORY=/etc/b\n"
				   "PROXXY_STATE_DIRECTORY=/var/lib/a\n"
				   "PROXXY_READABLE=/srv/ca, /data/a b\n"
				   "PROXXY_ALLOWED_HOSTS=*.example.com, 10.0.0.0/8\n"
				   "PROXXY_ALLOWED_ORIGINS=https://a\n"
				   "PROXXY_CLIENT_ADDRESS=x-real-ip\n"
				   "PROXXY_TRUSTED_PROXIES=unix, 10.0.0.0/8\n"
				   "PROXXY_REPLAY_STORE=redis://:x@store\n"
				   "PROXXY_STORE_SECRET_FILE=/etc/s\n"
				   "PROXXY_STORE_FAILURE=local\n"
				   "PROXXY_LOG=stderr\n"
				   "PORT=80"),
			 0);
	assert_int_equal(config.upstream_port, 443);
	assert_int_equal(config.connect_timeout, 3);
	assert_int_equal(config.request_timeout, 4);
	assert_int_equal(config.ping_interval, 5);
	assert_int_equal(config.idle_timeout, 7);
	assert_int_equal(config.session_max, 8);
	assert_string_equal(config.ca_file, "/etc/a b=c#d.pem");
	assert_int_equal(config.n_fingerprints, 2);
	assert_memory_equal(config.fingerprints[0], config.fingerprints[1], CRYPTO_FINGERPRINT_LEN);
	assert_int_equal(config.fingerprints[0][0], 0xA1);
	assert_int_equal(config.fingerprints[1][31], 0x90);
	assert_false(config.tls_verify);
	assert_true(config.accept_jwe && !config.accept_cbc);
	assert_int_equal(config.payload_lifetime, 9);
	assert_int_equal(config.not_before, 1800000000);
	assert_string_equal(config.cluster_directory, "/etc/b");
	assert_string_equal(config.state_directory, "/var/lib/a");
	assert_string_equal(config.readable, "/srv/ca, /data/a b");
	assert_string_equal(config.allowed_hosts, "*.example.com, 10.0.0.0/8");
	assert_string_equal(config.allowed_origins, "https://a");
	assert_int_equal(config.client_source, CLIENT_X_REAL_IP);
	assert_string_equal(config.trusted_proxies, "unix, 10.0.0.0/8");
	assert_string_equal(config.replay_store, "redis://:x@store");
	assert_string_equal(config.store_password_file, "/etc/s");
	assert_true(config.store_failure_is_local);
	assert_int_equal(config.log, LOG_TO_STDERR);
	assert_int_equal(config.port, 80);

	/* The environment overrides single settings. The file's value of such a setting is not
	 * parsed. */
	setenv("PROXXY_UPSTREAM_PORT", "8007", 1);
	setenv("PROXXY_CA_FILE", "", 1);
	setenv("PROXXY_TLS_VERIFY", "on", 1);
	setenv("PROXXY_FINGERPRINTS", F1, 1);
	assert_int_equal(load_conf("PROXXY_UPSTREAM_PORT=SECRET\nPROXXY_CA_FILE=/a\nPROXXY_TLS_VERIFY=off\n"
				   "PROXXY_FINGERPRINTS=" F1 "," F1 "\nPROXXY_PING_INTERVAL=9\n"),
			 0);
	assert_int_equal(config.upstream_port, 8007);
	assert_string_equal(config.ca_file, "");
	assert_true(config.tls_verify);
	assert_int_equal(config.n_fingerprints, 1);
	assert_int_equal(config.ping_interval, 9);

	/* Quotes, which Docker passes on, are removed from the environment's values as from the
	 * file's. */
	setenv("PROXXY_UPSTREAM_PORT", "\"8008\"", 1);
	setenv("PROXXY_CA_FILE", "'/a b'", 1);
	assert_int_equal(load_conf(""), 0);
	assert_int_equal(config.upstream_port, 8008);
	assert_string_equal(config.ca_file, "/a b");
}

static void bad_lines(void **state)
{
	static const struct {
		const char *content;
		int line;
	} table[] = {
		{ "PROXXY_SECRET=SECRET\n", 1 },
		{ "\n\n# x\nPROXXY_SECRET=SECRET\nPORT=1\n", 4 },
		{ "PORT=1\n" K1 "\n", 2 },
		{ "PORT=1\nSECRET", 2 },
		{ "export PORT=1\n", 1 },
		{ "port=1\n", 1 },
		{ "=SECRET\n", 1 },
		{ "PROXXY_CONFIG=/a\n", 1 },
		{ "PORT\n", 1 },
		{ "PORT: 1\n", 1 },
		{ "PORT =SECRET\n", 1 },
		{ "PORT=1\r\nPORT=SECRET\r\n", 2 },
		{ "PORT=\n", 1 },
		{ "PORT=1 # SECRET\n", 1 },
		{ "PORT=\"1\n", 1 },
		{ "PORT=\"1'\n", 1 },
		{ "PORT=\"\"1\"\"\n", 1 },
		{ "PORT=1\n\xEF\xBB\xBFPORT=1\n", 2 },
		{ "PORT\xC2\xA0=1\n", 1 },
		{ "PROXXY_LOG=\n", 1 },
		{ "SIGNATURE_KEY2=" K1 "\n", 1 },
		{ K1 "=\n", 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char place[200];

		snprintf(place, sizeof(place), "%s/conf line %d", directory, table[i].line);
		CHECK_INT(load_conf(table[i].content), ERR_CONFIG, "%s", table[i].content);
		CHECK(strstr(why, place), "%s is named in: %s", place, why);
	}

	CHECK_INT(load_conf("\xEF\xBB\xBFPORT=1\n"), 0, "a byte order mark, where a file may have one: %s", why);
	write_bytes("conf", "PORT=1\0PORT=2\n", 14);
	CHECK_INT(load(), ERR_CONFIG, "NUL");
	CHECK(strstr(why, path_of("conf")), "%s", why);
	memset(text, '\n', sizeof(text));
	write_bytes("conf", text, SETTINGS_FILE_MAX - 1);
	setenv("SIGNATURE_KEY", K1, 1);
	CHECK_INT(load(), 0, "64 KiB less a byte: %s", why);
	write_bytes("conf", text, SETTINGS_FILE_MAX);
	CHECK_INT(load(), ERR_CONFIG, "64 KiB");
	write_file("conf", NULL);
	setenv("PROXXY_CONFIG", directory, 1);
	CHECK_INT(load(), ERR_CONFIG, "a directory");
	CHECK(strstr(why, directory), "%s", why);
}

static void bad_values(void **state)
{
	static const struct {
		const char *name, *good[6], *bad[16];
	} table[] = {
		{ "PROXXY_UPSTREAM_PORT",
		  { "1", "65535", "08006" },
		  { "", "0", "65536", "-1", "+1", "1 ", " 1", "0x1", "1.0", "1e3", "SECRET", "4294967297",
		    "10000000000000000000000" } },
		{ "PORT", { "1", "65535" }, { "", "0", "65536", "http", "80a" } },
		{ "PROXXY_REQUEST_TIMEOUT", { "1", "3600" }, { "", "0", "3601", "10s" } },
		{ "PROXXY_CONNECT_TIMEOUT", { "1", "3600" }, { "", "0", "3601", "1.5" } },
		{ "PROXXY_PING_INTERVAL", { "0", "86400" }, { "", "86401", "off", "-0" } },
		{ "PROXXY_IDLE_TIMEOUT", { "0", "31536000" }, { "", "31536001", "never" } },
		{ "PROXXY_SESSION_MAX", { "0", "31536000" }, { "", "31536001", "1h" } },
		{ "PROXXY_MAX_SESSIONS", { "0", "4096" }, { "", "4097", "-1", "none" } },
		{ "PROXXY_MAX_PER_CLIENT", { "0", "4096" }, { "", "4097", "-1", "none" } },
		{ "PROXXY_MAX_PER_GUEST", { "0", "4096" }, { "", "4097", "-1", "none" } },
		{ "PROXXY_MAX_PER_SUB", { "0", "4096" }, { "", "4097", "-1", "none" } },
		{ "PROXXY_NEW_PER_MINUTE", { "0", "4096" }, { "", "4097", "-1", "60/m" } },
		{ "PROXXY_TLS_VERIFY",
		  { "on", "off", "ON", "oFf" },
		  { "", "1", "0", "yes", "no", "true", "false", "on ", "offf", "SECRET" } },
		{ "PROXXY_PAYLOADS",
		  { "jwe", "cbc", "cbc,jwe", " jwe , cbc ", "jwe,jwe" },
		  { "", ",", "JWE", "jwes", "cbc,SECRET", "cbc jwe" } },
		{ "PROXXY_PAYLOAD_LIFETIME", { "1", "86400" }, { "", "0", "86401", "5m" } },
		{ "PROXXY_NOT_BEFORE",
		  { "", "0", "1764129600", "99999999999" },
		  { "-1", "+1", "1.5", "100000000000", "now", "2026-11-26", "1e9", "SECRET" } },
		{ "PROXXY_CLUSTER_DIRECTORY", { "/", "/etc/a b" }, { "", "etc", "./a", "SECRET" } },
		{ "PROXXY_STATE_DIRECTORY", { "/", "/var/lib/a b" }, { "", "var", "./a", "SECRET" } },
		{ "PROXXY_READABLE", { "", "/", "/srv/a b , /c" }, { "srv", "/a,./b", "/a,,/b", "SECRET" } },
		{ "PROXXY_CLIENT_ADDRESS",
		  { "peer", "proxy-protocol", "forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip" },
		  { "", "Peer", "proxy", "x-forwarded", "peer,forwarded", "SECRET" } },
		{ "PROXXY_TRUSTED_PROXIES",
		  { "", "unix", "127.0.0.1", "10.0.0.0/8, 2001:db8::/32 ,unix", "0.0.0.0/0,::/0" },
		  { "Unix", "proxy.example.com", "10.0.0.1/8", "127.0.0.1,,::1", "127.0.0.1 ::1", "fe80::1%eth0",
		    "SECRET" } },
		{ "PROXXY_REPLAY_STORE",
		  { "", "redis://store", "rediss://u:p@store:1/2?ca=/a", "unix:///s?db=3" },
		  { "store", "http://store", "redis://", "redis://:SECRET@", "unix://s", "redis://store/x" } },
		{ "PROXXY_STORE_SECRET_FILE", { "", "/etc/a b" }, { NULL } },
		{ "PROXXY_STORE_FAILURE", { "refuse", "local" }, { "", "Local", "allow", "SECRET" } },
		{ "PROXXY_ALLOWED_HOSTS",
		  { "", "pve1", "*.example.com", "10.0.0.0/8,2001:db8::/32", "::1" },
		  { "*", "a,,b", "pve*", "10.0.0.0/33", "https://a", "SECRET!" } },
		{ "PROXXY_ALLOWED_ORIGINS",
		  { "", "https://a", "https://*.a, http://b:8080" },
		  { "a", "*", "https://", "https://a/", "SECRET" } },
		{ "PROXXY_LOG", { "auto", "journal", "syslog", "stderr" }, { "", "Journal", "stdout", "SECRET" } },
		{ "PROXXY_FINGERPRINTS",
		  { "", F1, F1_COLONS, " " F1 " , " F1_COLONS ", ",
		    "A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F90" },
		  { ",", "SECRET", F1 "0", F1 ":", F1 "," F1 "0", F1 ",," F1, F1 " " F1, "sha256:" F1, ":" F1_COLONS,
		    F1_COLONS ":",
		    "A1-B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90:A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90",
		    "A1B:2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90:A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90",
		    "A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90:A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:9G",
		    "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9 ",
		    "A1:B2:C3:D4:E5:F6:07:18:29:3A:4B:5C:6D:7E:8F:90:A1:B2:C3:D4" } },
	};
	char *list;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		for (size_t v = 0; v < COUNT(table[0].good) + COUNT(table[0].bad); v++) {
			const bool good = v < COUNT(table[0].good);
			const char *value = good ? table[i].good[v] : table[i].bad[v - COUNT(table[0].good)];

			if (!value)
				continue;
			clean(NULL);
			setenv(table[i].name, value, 1);
			CHECK_INT(load(), good ? 0 : ERR_CONFIG, "%s=%s: %s", table[i].name, value, why);
			CHECK(good || strstr(why, table[i].name), "%s is named in: %s", table[i].name, why);
			/* The same from the file, where white space around a value is removed. */
			if (value[0] == ' ' || (value[0] && value[strlen(value) - 1] == ' '))
				continue;
			clean(NULL);
			snprintf(text, sizeof(text), "\n%s=%s\n", table[i].name, value);
			CHECK_INT(load_conf(text), good ? 0 : ERR_CONFIG, "%s: %s", text, why);
			CHECK(good || (strstr(why, table[i].name) && strstr(why, "conf line 2")), "%s", why);
		}

	/* The documented number of fingerprints, in their longest form. */
	list = text;
	for (int n = 1; n <= CONFIG_FINGERPRINTS_MAX + 1; n++) {
		list += sprintf(list, "%s%s", n > 1 ? "," : "", F1_COLONS);
		clean(NULL);
		setenv("PROXXY_FINGERPRINTS", text, 1);
		CHECK_INT(load(), n <= CONFIG_FINGERPRINTS_MAX ? 0 : ERR_CONFIG, "%d fingerprints", n);
		CHECK(n > CONFIG_FINGERPRINTS_MAX || config.n_fingerprints == (size_t)n, "%d fingerprints", n);
	}
	/* A path that is too long is an error, and is not cut off. */
	for (size_t len = sizeof(config.ca_file) - 1; len <= sizeof(config.ca_file); len++) {
		clean(NULL);
		memset(text, 'a', len);
		text[len] = '\0';
		setenv("PROXXY_CA_FILE", text, 1);
		CHECK_INT(load(), len < sizeof(config.ca_file) ? 0 : ERR_CONFIG, "a path of %zu", len);
	}
}

/* Writes a file of the drop-in directory, or removes it if content is NULL. */
static void write_drop_in(const char *name, const char *content)
{
	char path[sizeof(directory) + sizeof("/conf.d/") + NAME_MAX];
	FILE *f;

	assert_true((size_t)snprintf(path, sizeof(path), "%s/conf.d/%s", directory, name) < sizeof(path));
	if (!content) {
		unlink(path);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void drop_ins(void **state)
{
	static const char *const passed_over[] = { ".hidden.conf",
						   ".conf",
						   ".#site.conf",
						   "site.conf~",
						   "site.conf.dpkg-old",
						   "site.conf.dpkg-new",
						   "site.conf.bak",
						   "#site.conf#",
						   "site.Conf",
						   "README",
						   "conf",
						   "site.conf.d" };
	char name[NAME_MAX + 1];

	(void)state;
	assert_int_equal(mkdir(path_of("conf.d"), 0700), 0);
	assert_int_equal(load_conf("PORT=1\n"), 0);
	assert_int_equal(config.port, 1);
	for (size_t i = 0; i < COUNT(passed_over); i++)
		write_drop_in(passed_over[i], "SECRET\n");
	assert_int_equal(load_conf("PORT=1\n"), 0);
	assert_int_equal(config.port, 1);

	/* The files are read in the byte order of their names. The last line with a setting
	 * applies, whichever file it is in, unless the environment sets it. */
	write_drop_in("\xFF.conf", "PORT=9");
	write_drop_in("a.conf", "PORT=4");
	write_drop_in("B.conf", "PORT=3\nPROXXY_IDLE_TIMEOUT=7\nPROXXY_PAYLOADS=cbc");
	write_drop_in("10.conf", "PORT=2\nPROXXY_IDLE_TIMEOUT=6");
	assert_int_equal(load_conf("PORT=1\nPROXXY_SESSION_MAX=5\nPROXXY_PAYLOADS=jwe"), 0);
	assert_int_equal(config.port, 9);
	assert_int_equal(config.idle_timeout, 7);
	assert_int_equal(config.session_max, 5);
	assert_true(config.accept_cbc && !config.accept_jwe);
	write_drop_in("\xFF.conf", NULL);
	assert_int_equal(load_conf("PORT=1"), 0);
	assert_int_equal(config.port, 4);
	setenv("PORT", "80", 1);
	assert_int_equal(load_conf("PORT=1"), 0);
	assert_int_equal(config.port, 80);
	unsetenv("PORT");

	/* The directory is read even if the settings file is missing. */
	assert_int_equal(load_conf(NULL), 0);
	assert_int_equal(config.port, 4);
	assert_int_equal(config.session_max, 0);

	/* The key of a later file replaces that of an earlier one, which is longer. */
	unsetenv("SIGNATURE_KEY");
	write_file("conf", "SIGNATURE_KEY=a:" K1 ",b:" K2 "\n");
	write_drop_in("a.conf", "SIGNATURE_KEY=c:" K2);
	assert_int_equal(load(), 0);
	assert_int_equal(config.n_keys, 1);
	assert_string_equal(config.keys[0].kid, "c");

	/* An error names its file and line, even if a later file has a valid value. */
	write_drop_in("a.conf", "PORT=4");
	write_drop_in("10.conf", "\nPORT=SECRET\n");
	assert_int_equal(load_conf(""), ERR_CONFIG);
	CHECK(strstr(why, "conf.d/10.conf line 2: PORT"), "%s", why);
	write_drop_in("10.conf", "SECRET=1\n");
	assert_int_equal(load_conf(""), ERR_CONFIG);
	CHECK(strstr(why, "conf.d/10.conf line 1: there is no such setting"), "%s", why);
	write_drop_in("10.conf", NULL);

	/* A file that cannot be read is an error: a directory, and a broken link. */
	assert_int_equal(mkdir(path_of("conf.d/c.conf"), 0700), 0);
	assert_int_equal(load_conf(""), ERR_CONFIG);
	CHECK(strstr(why, "conf.d/c.conf: Is a directory"), "%s", why);
	assert_int_equal(rmdir(path_of("conf.d/c.conf")), 0);
	assert_int_equal(symlink("/nonexistent", path_of("conf.d/c.conf")), 0);
	assert_int_equal(load_conf(""), ERR_CONFIG);
	CHECK(strstr(why, "conf.d/c.conf: No such file"), "%s", why);
	write_drop_in("c.conf", NULL);
	memset(text, '\n', sizeof(text));
	write_bytes("conf.d/c.conf", text, SETTINGS_FILE_MAX);
	assert_int_equal(load_conf(""), ERR_CONFIG);
	CHECK(strstr(why, "conf.d/c.conf"), "%s", why);
	write_drop_in("c.conf", NULL);

	/* A name of any length, and the documented number of files. */
	memset(name, 'z', NAME_MAX);
	memcpy(name + NAME_MAX - 5, ".conf", 6);
	write_drop_in(name, "PORT=77");
	assert_int_equal(load_conf(""), 0);
	assert_int_equal(config.port, 77);
	write_drop_in(name, NULL);
	for (int n = 2; n <= SETTINGS_FILES_MAX + 1; n++) { /* a.conf and B.conf exist */
		snprintf(name, sizeof(name), "%03d.conf", 999 - n);
		write_drop_in(name, "PORT=5");
		CHECK_INT(load_conf(""), n < SETTINGS_FILES_MAX ? 0 : ERR_CONFIG, "%d more files: %s", n, why);
		CHECK(n < SETTINGS_FILES_MAX ? config.port == 4 : !!strstr(why, "conf.d contains more than"),
		      "%d files: %s", n + 1, why);
	}
	assert_int_equal(nftw(path_of("conf.d"), remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);

	/* A file is in the directory's place. */
	write_file("conf.d", "PORT=5");
	assert_int_equal(load_conf(""), ERR_CONFIG);
	CHECK(strstr(why, "conf.d: Not a directory"), "%s", why);
	write_file("conf.d", NULL);
}

/* The file that we print can be read: as it is, and with each setting's comment sign removed. */
static void printed(void **state)
{
	char *help;
	size_t n;
	FILE *f = open_memstream(&help, &n);

	(void)state;
	assert_non_null(f);
	config_print_file(f);
	fclose(f);
	assert_int_equal(load_conf(help), 0);
	check_defaults();
	for (char *line = strchr(help, '#'); line; line = strstr(line, "\n#")) {
		line += *line == '\n';
		if (line[1] != ' ')
			*line = ' ';
	}
	assert_non_null(strstr(help, "\n PORT=8443\n"));
	assert_int_equal(load_conf(help), 0);
	check_defaults();
	free(help);

	f = open_memstream(&help, &n);
	config_print_help(f);
	fclose(f);
	assert_non_null(strstr(help, "PROXXY_UPSTREAM_PORT"));
	assert_non_null(strstr(help, "PORT\n"));
	for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n"))
		CHECK(strlen(line) <= 80, "%s", line);
	free(help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults, clean),  cmocka_unit_test_setup(file_and_environment, clean),
		cmocka_unit_test_setup(bad_lines, clean), cmocka_unit_test_setup(bad_values, clean),
		cmocka_unit_test_setup(printed, clean),   cmocka_unit_test_setup(drop_ins, clean),
	};

	return RUN_WITH_FILES(tests);
}
