/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests relro.h: OpenSSL's tables come back as they were and stay constant, OpenSSL works with
 * them, and a fault that is not of a returned page ends the process with SIGSEGV. Each test runs in
 * a process of its own, because tables are returned once.
 */
#include "tests/unit/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/relro.h"

enum { TABLES_MAX = 4, TABLE_MAX = 1024 * 1024 }; /* bytes of a library's tables */

/* The tables of libcrypto and libssl, as the dynamic linker made them. */
static struct {
	const uint8_t *at;
	size_t size;
	uint8_t copy[TABLE_MAX];
} tables[TABLES_MAX];
static size_t n_tables;
static bool in_valgrind;

static int copy_tables(struct dl_phdr_info *library, size_t size, void *unused)
{
	const uintptr_t page = (uintptr_t)getpagesize();

	(void)size, (void)unused;
	in_valgrind |= strstr(library->dlpi_name, "vgpreload") != NULL;
	if (!strstr(library->dlpi_name, "/libcrypto.so") && !strstr(library->dlpi_name, "/libssl.so"))
		return 0;
	for (size_t i = 0; i < library->dlpi_phnum && n_tables < TABLES_MAX; i++) {
		const ElfW(Phdr) *segment = &library->dlpi_phdr[i];
		const uintptr_t at = (library->dlpi_addr + segment->p_vaddr) / page * page;

		if (segment->p_type != PT_GNU_RELRO)
			continue;
		tables[n_tables].at = (const void *)at;
		tables[n_tables].size = (library->dlpi_addr + segment->p_vaddr + segment->p_memsz) / page * page - at;
		memcpy(tables[n_tables].copy, tables[n_tables].at, tables[n_tables].size);
		n_tables++;
	}
	return 0;
}

/* Returns how many bytes of the tables have these rights. */
static size_t bytes_with(const char *rights)
{
	static char maps[1 << 20];
	const int fd = open("/proc/self/maps", O_RDONLY);
	size_t found = 0, len = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	for (const char *line = maps; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		unsigned long begin, end;
		char has[5];

		if (sscanf(line, "%lx-%lx %4s", &begin, &end, has) != 3 || strcmp(has, rights) != 0)
			continue;
		for (size_t i = 0; i < n_tables; i++) {
			const uintptr_t at = (uintptr_t)tables[i].at, stop = at + tables[i].size;
			const uintptr_t from = begin > at ? begin : at, to = end < stop ? end : stop;

			found += from < to ? to - from : 0;
		}
	}
	return found;
}

static size_t size_of_tables(void)
{
	size_t size = 0;

	for (size_t i = 0; i < n_tables; i++)
		size += tables[i].size;
	return size;
}

/* Returns the tables, after copying them. */
static void return_tables(void)
{
	relro_prepare();
	if (bytes_with("---p") != 0)
		_exit(10);
	relro_release();
	if (bytes_with("---p") <= size_of_tables() / 2)
		_exit(11);
}

/* Runs a function in another process, in which the tables are returned. It must end with this
 * status of waitpid(). Skips the test if this build does not return any. */
static void in_process(void (*run)(void), int want)
{
	pid_t child;
	int status;

#if defined(PROXXY_SANITIZE) || !defined(__GLIBC__) || !(defined(__x86_64__) || defined(__aarch64__))
	skip();
#endif
	if (n_tables == 0 || in_valgrind)
		skip(); /* without tables, OpenSSL is linked statically */
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		return_tables();
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	CHECK_INT(status, want, "signal %d, exit status %d", WTERMSIG(status), WEXITSTATUS(status));
}

/* --- what comes back ---------------------------------------------------------------------- */

static void read_all(void)
{
	errno = ENOTEMPTY;
	for (size_t i = 0; i < n_tables; i++)
		if (memcmp(tables[i].at, tables[i].copy, tables[i].size) != 0)
			_exit(1);
	if (errno != ENOTEMPTY || bytes_with("---p") != 0 || bytes_with("r--p") != size_of_tables())
		_exit(2);
	relro_release(); /* again */
	if (bytes_with("---p") == 0)
		_exit(3);
	for (size_t i = 0; i < n_tables; i++) /* backwards: from the last page to the first */
		for (size_t at = tables[i].size; at > 0; at--)
			if (tables[i].at[at - 1] != tables[i].copy[at - 1])
				_exit(4);
}

static void tables_come_back_as_they_were(void **state)
{
	(void)state;
	in_process(read_all, 0);
}

/* OpenSSL fetches algorithms, makes a context and frees everything. */
static void use_openssl(void)
{
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
	uint8_t digest[EVP_MAX_MD_SIZE];
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *tls = context ? SSL_new(context) : NULL;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!tls || !in || !out || EVP_Digest("abc", 3, digest, NULL, EVP_sha256(), NULL) != 1 ||
	    memcmp(digest, abc, sizeof(abc)) != 0)
		_exit(1);
	SSL_set_bio(tls, in, out);
	if (SSL_connect(tls) != -1 || SSL_get_error(tls, -1) != SSL_ERROR_WANT_READ)
		_exit(2);
	SSL_free(tls);
	SSL_CTX_free(context);
}

static void openssl_works_with_returned_tables(void **state)
{
	(void)state;
	in_process(use_openssl, 0);
}

/* --- real faults -------------------------------------------------------------------------- */

static void write_to(const volatile uint8_t *at)
{
	*(volatile uint8_t *)(uintptr_t)at = 1;
}

static void write_to_nothing(void)
{
	write_to((const uint8_t *)(uintptr_t)getpagesize());
}

static void write_to_returned_table(void)
{
	write_to(tables[0].at);
}

static void write_to_table(void)
{
	if (*(const volatile uint8_t *)tables[0].at == tables[0].copy[0])
		write_to(tables[0].at);
}

static void read_unreadable(void)
{
	write_to(mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void get_the_signal(void)
{
	raise(SIGSEGV);
	sleep(60);
}

static void real_faults_end_the_process(void **state)
{
	(void)state;
	in_process(write_to_nothing, SIGSEGV);
	in_process(write_to_returned_table, SIGSEGV);
	in_process(write_to_table, SIGSEGV);
	in_process(read_unreadable, SIGSEGV);
	in_process(get_the_signal, SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tables_come_back_as_they_were),
					    cmocka_unit_test(openssl_works_with_returned_tables),
					    cmocka_unit_test(real_faults_end_the_process) };

	OPENSSL_init_ssl(0, NULL);
	dl_iterate_phdr(copy_tables, NULL);
	return cmocka_run_group_tests_name(__FILE__, tests, NULL, print_checks);
}
