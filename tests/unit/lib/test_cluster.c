/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests cluster.h: the members of a cluster file, where files are looked for, and errors, which
 * name the file and never a value.
 */
#include "tests/unit/lib/settings.h"

#include "lib/cluster.h"

#define TOKEN "TOKEN=proxxy@pve!console=HIDDEN-0001\n"
#define F1 "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"

static struct cluster cluster;
static struct console console;

static int begin_cluster(void **state)
{
	begin(state);
	return mkdir(path_of("clusters"), 0700) || mkdir(path_of("credentials"), 0700);
}

/* Removes the files, and reads the settings again. */
static int clean_cluster(void **state)
{
	static const char *const names[] = { "clusters/a.conf", "clusters/b.conf", "clusters/.c.conf",
					     "clusters/d.conf~", "credentials/cluster-a.conf" };

	clean(state);
	for (size_t i = 0; i < COUNT(names); i++)
		write_file(names[i], NULL);
	setenv("PROXXY_CLUSTER_DIRECTORY", path_of("clusters"), 1);
	assert_int_equal(load(), 0);
	return 0;
}

static int find(const char *name)
{
	int rc;

	memset(&cluster, 0xEE, sizeof(cluster));
	snprintf(why, sizeof(why), "unset");
	rc = cluster_find(&config, name, &cluster, why, sizeof(why));
	CHECK(rc >= 0 || (rc == ERR_CONFIG && strlen(why) > 10), "%d: %s", rc, why);
	CHECK(!strstr(why, "HIDDEN"), "no value in: %s", why);
	return rc;
}

static int find_host(const char *host)
{
	assert_int_equal(payload_parse_host(host, &console), 0);
	memset(&cluster, 0xEE, sizeof(cluster));
	return cluster_find_host(&config, &console, &cluster, why, sizeof(why));
}

static void members(void **state)
{
	(void)state;
	write_file("clusters/a.conf",
		   "# a cluster\nHOSTS = pve1.example.com, 192.0.2.7:8007,[2001:db8::1]:1 , 2001:db8::2\n"
		   "TOKEN='PVEAPIToken=proxxy@pve!console=HIDDEN-0001'\nCA_FILE=/etc/a.pem\n"
		   "FINGERPRINTS=" F1 "," F1 "\n");
	setenv("HOSTS", "evil.example.com", 1); /* the environment does not count */
	setenv("TOKEN", "evil@pve!a=b", 1);
	assert_int_equal(find("a"), CLUSTER_FOUND);
	assert_string_equal(cluster.name, "a");
	assert_int_equal(cluster.n_hosts, 4);
	assert_string_equal(cluster.hosts[0].host, "pve1.example.com");
	assert_int_equal(cluster.hosts[0].port, 0);
	assert_false(cluster.hosts[0].is_address);
	assert_string_equal(cluster.hosts[1].host, "192.0.2.7");
	assert_int_equal(cluster.hosts[1].port, 8007);
	assert_true(cluster.hosts[1].is_address);
	assert_string_equal(cluster.hosts[2].host, "2001:db8::1");
	assert_int_equal(cluster.hosts[2].port, 1);
	assert_string_equal(cluster.hosts[3].host, "2001:db8::2");
	assert_string_equal(cluster.token, "PVEAPIToken=proxxy@pve!console=HIDDEN-0001");
	assert_string_equal(cluster.ca_file, "/etc/a.pem");
	assert_int_equal(cluster.n_fingerprints, 2);
	cluster_wipe(&cluster);
	for (size_t i = 0; i < sizeof("PVEAPIToken=proxxy@pve!console=HIDDEN-0001"); i++)
		assert_int_equal(cluster.token[i], 0);
	assert_string_equal(cluster.name, "a");

	write_file("clusters/a.conf", "HOSTS=h\n" TOKEN);
	assert_int_equal(find("a"), CLUSTER_FOUND);
	assert_string_equal(cluster.token, "PVEAPIToken=proxxy@pve!console=HIDDEN-0001");
	assert_true(cluster.n_hosts == 1 && !*cluster.ca_file && cluster.n_fingerprints == 0);
	assert_int_equal(find("b"), CLUSTER_NONE);
}

static void invalid(void **state)
{
	static const struct {
		const char *text, *words;
	} table[] = {
		{ "", "HOSTS is missing" },
		{ TOKEN, "HOSTS is missing" },
		{ "HOSTS=h\n", "TOKEN is missing" },
		{ "HOSTS=,\n" TOKEN, "line 1: HOSTS" },
		{ "HOSTS=h:0\n" TOKEN, "line 1: HOSTS" },
		{ "HOSTS=https://h\n" TOKEN, "line 1: HOSTS" },
		{ "HOSTS=a b\n" TOKEN, "line 1: HOSTS" },
		{ "HOSTS=h,1.2.3\n" TOKEN, "line 1: HOSTS" },
		{ "HOSTS=h\nTOKEN=HIDDEN\n", "line 2: TOKEN" },
		{ "HOSTS=h\nTOKEN=a@pve!HIDDEN\n", "line 2: TOKEN" },
		{ "HOSTS=h\nTOKEN=a@pve!b=\n", "line 2: TOKEN" },
		{ "HOSTS=h\nTOKEN=a!b@pve=HIDDEN\n", "line 2: TOKEN" },
		{ "HOSTS=h\nTOKEN=a@pve!b=HID DEN\n", "line 2: TOKEN" },
		{ "HOSTS=h\nTOKEN=PVE:a@pve:HIDDEN\n", "line 2: TOKEN" },
		{ "HOSTS=h\nCA_FILE=a.pem\n" TOKEN, "line 2: CA_FILE" },
		{ "HOSTS=h\nFINGERPRINTS=00\n" TOKEN, "line 2: FINGERPRINTS" },
		{ "HOSTS=h\n" TOKEN "PROXXY_TLS_VERIFY=off\n", "line 3: there is no such setting" },
		{ "HOSTS=h\n" TOKEN "HIDDEN\n", "line 3 is not KEY=VALUE" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		write_file("clusters/a.conf", table[i].text);
		CHECK_INT(find("a"), ERR_CONFIG, "%s", table[i].text);
		CHECK(strstr(why, table[i].words) && strstr(why, "clusters/a.conf"), "%s: %s", table[i].text, why);
		CHECK(!*cluster.name && !*cluster.token, "%s", table[i].text);
		/* A broken file also counts for a payload with a host: it may be the one that lists
		 * it. */
		CHECK_INT(find_host("other"), ERR_CONFIG, "%s", table[i].text);
	}
}

static void too_many_hosts(void **state)
{
	char hosts[400] = "HOSTS=";

	(void)state;
	for (size_t i = 0; i <= CLUSTER_HOSTS_MAX; i++) {
		sprintf(hosts + strlen(hosts), "h%zu,", i);
		snprintf(text, sizeof(text), "%s\n" TOKEN, hosts);
		write_file("clusters/a.conf", text);
		CHECK_INT(find("a"), i < CLUSTER_HOSTS_MAX ? CLUSTER_FOUND : ERR_CONFIG, "%zu hosts", i + 1);
	}
}

static void by_host(void **state)
{
	(void)state;
	assert_int_equal(find_host("pve1"), CLUSTER_NONE); /* no file at all */
	write_file("clusters/.c.conf", "nonsense");
	write_file("clusters/d.conf~", "nonsense");
	write_file("clusters/a.conf", "HOSTS=pve1,pve2:8007\n" TOKEN);
	write_file("clusters/b.conf", "HOSTS=pve1,pve3,192.0.2.7\nTOKEN=b@pve!c=HIDDEN-0002\n");
	assert_int_equal(find_host("pve1"), CLUSTER_FOUND);
	assert_string_equal(cluster.name, "a");
	assert_int_equal(cluster.n_hosts, 1);
	assert_int_equal(find_host("PVE3:8006"), CLUSTER_FOUND);
	assert_string_equal(cluster.name, "b");
	assert_int_equal(cluster.n_hosts, 1);
	assert_string_equal(cluster.hosts[0].host, "pve3");
	assert_int_equal(find_host("192.0.2.7"), CLUSTER_FOUND);
	assert_int_equal(find_host("pve2:8007"), CLUSTER_FOUND);
	assert_string_equal(cluster.name, "a");
	/* The token must not go to another port of a listed host, nor to another name. */
	assert_int_equal(find_host("pve2"), CLUSTER_NONE);
	assert_true(!*cluster.name && !*cluster.token);
	assert_int_equal(find_host("pve1:8007"), CLUSTER_NONE);
	assert_int_equal(find_host("pve1.example.com"), CLUSTER_NONE);
	assert_int_equal(find_host("192.0.2.70"), CLUSTER_NONE);
}

static void credentials(void **state)
{
	(void)state;
	setenv("CREDENTIALS_DIRECTORY", path_of("credentials"), 1);
	write_file("clusters/a.conf", "HOSTS=file\n" TOKEN);
	assert_int_equal(find("a"), CLUSTER_FOUND);
	assert_string_equal(cluster.hosts[0].host, "file");
	write_file("credentials/cluster-a.conf", "HOSTS=credential,file\n" TOKEN);
	assert_int_equal(find("a"), CLUSTER_FOUND);
	assert_string_equal(cluster.hosts[0].host, "credential");
	assert_int_equal(find_host("file"), CLUSTER_FOUND);
	assert_string_equal(cluster.name, "a");
	write_file("credentials/cluster-a.conf", "nonsense\n");
	assert_int_equal(find("a"), ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(members, clean_cluster),        cmocka_unit_test_setup(invalid, clean_cluster),
		cmocka_unit_test_setup(too_many_hosts, clean_cluster), cmocka_unit_test_setup(by_host, clean_cluster),
		cmocka_unit_test_setup(credentials, clean_cluster),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, begin_cluster, finish);
}
