/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests config.h (keys): lists of keys from each source, the order of the sources, errors, and that
 * no key stays in the memory that it was read from.
 */
#include "tests/unit/lib/settings.h"

static void key_lists(void **state)
{
	static const struct {
		const char *keys, *kids; /* the names, with a comma after each; NULL: an error */
	} table[] = {
		{ K1, "," },
		{ "a:" K1, "a," },
		{ "2026-01:" K1 ",old.key_1:" K2, "2026-01,old.key_1," },
		{ " a:" K1 " ,\t" K2 " ", "a,," },
		{ K1 ",", "," },
		{ "abcdefghijklmnopqrstuvwxyz012345:" K1, "abcdefghijklmnopqrstuvwxyz012345," },
		{ "a:" K1 ",b:" K1 ",c:" K1 ",d:" K1 ",e:" K1 ",f:" K1 ",g:" K1 ",h:" K1, "a,b,c,d,e,f,g,h," },
		{ "a:" K1 ",b:" K1 ",c:" K1 ",d:" K1 ",e:" K1 ",f:" K1 ",g:" K1 ",h:" K1 ",i:" K1, NULL },
		{ "", NULL },
		{ " ", NULL },
		{ ",", NULL },
		{ "," K1, NULL },
		{ K1 ",," K2, NULL },
		{ K1 "0", NULL },
		{ K1 "00", NULL },
		{ "0" K1, NULL },
		{ "0x" K1, NULL },
		{ "0011223344", NULL },
		{ "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef", NULL },
		{ "00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg", NULL },
		{ "SECRET", NULL },
		{ ":" K1, NULL },
		{ "a::" K1, NULL },
		{ "a:b:" K1, NULL },
		{ "a b:" K1, NULL },
		{ "SECRET!:" K1, NULL },
		{ "\xC3\xA9:" K1, NULL },
		{ "a: " K1, NULL },
		{ "a :" K1, NULL },
		{ K1 " " K2, NULL },
		{ K1 "\n" K2, NULL },
		{ K1 ";" K2, NULL },
		{ "a:", NULL },
		{ "\"" K1 "\"", NULL },
		{ "abcdefghijklmnopqrstuvwxyz0123456:" K1, NULL },
		{ "a:" K1 ",SECRET", NULL },
	};
	static const char *const sources[] = { "credential", "key file", "environment", "settings' file" };

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		for (size_t s = 0; s < COUNT(sources); s++) {
			char kids[300] = "";
			int rc;

			clean(NULL);
			unsetenv("SIGNATURE_KEY");
			if (s == 0) {
				write_file("signature-key", table[i].keys);
				setenv("CREDENTIALS_DIRECTORY", directory, 1);
			} else if (s == 1) {
				snprintf(text, sizeof(text), "%s\r\n \n", table[i].keys);
				write_file("key", text);
				setenv("PROXXY_KEY_FILE", path_of("key"), 1);
			} else if (s == 2) {
				if (strchr(table[i].keys, '"'))
					continue; /* removed there, see test_config.c */
				setenv("SIGNATURE_KEY", table[i].keys, 1);
			} else {
				if (strpbrk(table[i].keys, "\n\""))
					continue;
				snprintf(text, sizeof(text), "SIGNATURE_KEY=%s\n", table[i].keys);
				write_file("conf", text);
			}
			rc = load();
			CHECK_INT(rc, table[i].kids ? 0 : ERR_CONFIG, "%s: %s: %s", sources[s], table[i].keys, why);
			if (rc < 0) {
				const char *place = s == 0 ? path_of("signature-key") :
						    s == 1 ? path_of("key") :
							     "SIGNATURE_KEY";

				CHECK(strstr(why, place), "%s is named in: %s", place, why);
				continue;
			}
			for (size_t k = 0; k < config.n_keys; k++)
				strcat(strcat(kids, config.keys[k].kid), ",");
			CHECK(strcmp(kids, table[i].kids) == 0, "%s: %s", table[i].keys, kids);
			CHECK_INT(config.keys[0].key[31], 0xFF, "%s", table[i].keys);
		}
}

/* One key for each source, named after it. */
static const char *source_taken(void)
{
	return load() < 0 ? "error" : config.keys[0].kid;
}

static void key_sources(void **state)
{
	static const struct {
		const char *credential, *key_file; /* contents of the files; NULL: missing, "/": a directory instead */
		bool credentials_set, key_file_set, environment, conf;
		const char *want;
	} table[] = {
		{ "cred:" K1, "file:" K1, true, true, true, true, "cred" },
		{ NULL, "file:" K1, true, true, true, true, "file" },
		{ "cred:" K1, "file:" K1, false, true, true, true, "file" },
		{ NULL, NULL, true, false, true, true, "env" },
		{ NULL, NULL, false, false, true, true, "env" },
		{ NULL, NULL, false, false, false, true, "conf" },
		{ "cred:" K1, NULL, true, false, false, false, "cred" },
		{ NULL, NULL, false, false, false, false, "error" },
		{ NULL, NULL, true, true, false, false, "error" },
		/* A configured file that is missing or invalid is an error: no other source
		 * replaces it. */
		{ NULL, NULL, true, true, true, true, "error" },
		{ NULL, "SECRET", true, true, true, true, "error" },
		{ "SECRET", "file:" K1, true, true, true, true, "error" },
		{ "", "file:" K1, true, true, true, true, "error" },
		{ NULL, "/", true, true, true, true, "error" },
		{ "/", "file:" K1, true, true, true, true, "error" },
		{ "/", NULL, true, false, true, true, "error" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *const contents[] = { table[i].credential, table[i].key_file }, *const names[] = {
			"signature-key", "key"
		};

		clean(NULL);
		for (size_t f = 0; f < COUNT(names); f++) {
			rmdir(path_of(names[f]));
			if (contents[f] && strcmp(contents[f], "/") == 0)
				assert_int_equal(mkdir(path_of(names[f]), 0700), 0);
			else
				write_file(names[f], contents[f]);
		}
		if (table[i].credentials_set)
			setenv("CREDENTIALS_DIRECTORY", directory, 1);
		if (table[i].key_file_set)
			setenv("PROXXY_KEY_FILE", path_of("key"), 1);
		unsetenv("SIGNATURE_KEY");
		if (table[i].environment)
			setenv("SIGNATURE_KEY", "env:" K1, 1);
		write_file("conf", table[i].conf ? "SIGNATURE_KEY=conf:" K1 "\n" : NULL);
		CHECK(strcmp(source_taken(), table[i].want) == 0, "row %zu: %s: %s", i, config.keys[0].kid, why);
		for (size_t f = 0; f < COUNT(names); f++)
			rmdir(path_of(names[f]));
	}

	/* A key file that is larger than a value's maximum is not cut off. */
	clean(NULL);
	memset(text, ' ', sizeof(text));
	memcpy(text, K1, 64);
	write_bytes("key", text, SETTINGS_VALUE_MAX - 1);
	setenv("PROXXY_KEY_FILE", path_of("key"), 1);
	CHECK_INT(load(), 0, "%s", why);
	write_bytes("key", text, SETTINGS_VALUE_MAX);
	CHECK_INT(load(), ERR_CONFIG, "a large key file");
}

/* SIGNATURE_KEY does not stay in the environment, whatever error there is. */
static void key_in_the_environment(void **state)
{
	static const struct {
		const char *name, *value;
	} table[] = { { "A", "b" },
		      { "PORT", "SECRET" },
		      { "SIGNATURE_KEY", K1 "SECRET" },
		      { "PROXXY_KEY_FILE", "/nonexistent" },
		      { "PROXXY_CONFIG", "/" } };

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		clean(NULL);
		setenv(table[i].name, table[i].value, 1);
		const char *key = getenv("SIGNATURE_KEY");
		size_t len = strlen(key);

		load();
		for (size_t c = 0; c < len; c++)
			CHECK_INT(key[c], 0, "%s=%s: character %zu of the key", table[i].name, table[i].value, c);
	}
	clean(NULL);
	assert_int_equal(load(), 0);
	config_wipe_keys(&config);
	assert_int_equal(config.n_keys, 0);
	for (size_t i = 0; i < sizeof(config.keys); i++)
		assert_int_equal(((const char *)config.keys)[i], 0);
}

/* Nor does the URL of the store, which may contain a password. config_wipe_store() overwrites the
 * copy. */
static void store_in_the_environment(void **state)
{
	const char *const broken[] = { "1", "SECRET" }; /* PORT: valid, and an error */

	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		const char *url;
		size_t len;

		clean(NULL);
		setenv("PORT", broken[i], 1);
		setenv("PROXXY_REPLAY_STORE", "redis://:SECRET@store", 1);
		url = getenv("PROXXY_REPLAY_STORE");
		len = strlen(url);
		load();
		for (size_t c = 0; c < len; c++)
			CHECK_INT(url[c], 0, "PORT=%s: character %zu of the URL", broken[i], c);
	}
	clean(NULL);
	/* A longer value of an earlier file leaves nothing behind a shorter one. */
	assert_int_equal(load_conf("PROXXY_REPLAY_STORE=redis://:SECRETSECRET@store\n"
				   "PROXXY_REPLAY_STORE=redis://a"),
			 0);
	assert_string_equal(config.replay_store, "redis://a");
	config_wipe_store(&config);
	for (size_t c = 0; c < sizeof("redis://:SECRETSECRET@store"); c++)
		CHECK_INT(config.replay_store[c], 0, "character %zu of the copy", c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(key_lists, clean),
		cmocka_unit_test_setup(key_sources, clean),
		cmocka_unit_test_setup(key_in_the_environment, clean),
		cmocka_unit_test_setup(store_in_the_environment, clean),
	};

	return RUN_WITH_FILES(tests);
}
