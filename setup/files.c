/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes and removes the cluster file, the CA's file and the setting of proxxy-url.
 */
#include "setup/files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/settings.h"
#include "setup/report.h"

#define URL_CONFIG "/etc/proxxy/proxxy-url.conf" /* the default of PROXXY_URL_CONFIG */

enum { CLUSTER_FILE_MAX = 32 * 1024 /* bytes: 32 hosts and 64 fingerprints take 15 KiB */ };

int files_name(struct setup *s)
{
	const int n = snprintf(s->file, sizeof(s->file), "%s/%s.conf", s->config.cluster_directory, s->name);

	snprintf(s->ca_file, sizeof(s->ca_file), "%s/%s.pem", s->config.cluster_directory, s->name);
	return n > 0 && (size_t)n < sizeof(s->file) ? EX_OK :
						      report_error(EX_CONFIG, "PROXXY_CLUSTER_DIRECTORY is too long");
}

bool files_verify(const struct setup *s, const struct cluster *cluster)
{
	static char pem[SETUP_CA_MAX];
	const struct certificate *c = &s->certificate;

	if (*cluster->ca_file && settings_read_file(cluster->ca_file, pem, sizeof(pem)) > 0 &&
	    certificate_verified_by(c, pem, &s->options.address))
		return true;
	for (size_t i = 0; i < cluster->n_fingerprints; i++)
		if (memcmp(cluster->fingerprints[i], c->fingerprint, sizeof(c->fingerprint)) == 0)
			return true;
	return false;
}

static bool lists(const struct setup *s, const struct cluster_host *host)
{
	return cluster_host(&s->config, &s->before, host->host, host->port);
}

/* Returns true if s->before is of HOST's cluster. That it lists another node of s->cluster is not
 * enough: HOST says which nodes it has, and its token must not go to a host that names its
 * nodes. */
static bool is_of_cluster(const struct setup *s)
{
	if (lists(s, &s->cluster.hosts[0]))
		return true;
	for (size_t i = 1; i < s->cluster.n_hosts; i++)
		if (lists(s, &s->cluster.hosts[i]))
			return files_verify(s, &s->before);
	return false;
}

int files_read_before(struct setup *s)
{
	char why[512];
	const int rc = cluster_find(&s->config, s->name, &s->before, why, sizeof(why));

	if (rc < 0)
		return report_error(EX_CONFIG, "%s. Correct this file or remove it", why);
	if (rc == CLUSTER_FOUND && !is_of_cluster(s)) {
		const struct cluster_host *host = &s->before.hosts[0];

		return report_error(
			EX_CONFIG,
			"%s is for another host (%s port %u). Choose another name with --name, or name a host "
			"that it lists. Remove that file if its cluster has a new address",
			s->file, host->host, host->port ? host->port : (unsigned)s->config.upstream_port);
	}
	return EX_OK;
}

/* --- writing ------------------------------------------------------------------------------ */

/* Writes text to a file beside path with that mode and group, and moves it there. */
static int replace_file(const char *path, const char *text, size_t len, mode_t mode, gid_t group)
{
	char new_path[SETUP_FILE_MAX + 8];
	int fd, error = 0;

	snprintf(new_path, sizeof(new_path), "%s.new", path);
	unlink(new_path); /* of a run that was interrupted */
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return report_error(EX_CANTCREAT, "%s: %s", new_path, strerror(errno));
	while (len > 0 && error == 0) {
		const ssize_t n = write(fd, text, len);

		error = n < 0 && errno != EINTR ? errno : 0;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	/* The data is on the disk before the name is, whatever happens to the machine. */
	if (error == 0 && (fchown(fd, 0, group) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0))
		error = errno;
	close(fd);
	if (error == 0 && rename(new_path, path) < 0)
		error = errno;
	if (error == 0)
		return EX_OK;
	unlink(new_path);
	return report_error(EX_CANTCREAT, "%s: %s", path, strerror(error));
}

/* Makes the directory of a file, if it is not there. */
static int make_directory(const char *directory)
{
	if (mkdir(directory, 0755) == 0)
		return chmod(directory, 0755) == 0 ? /* umask() is 077 */
			       EX_OK :
			       report_error(EX_CANTCREAT, "%s: %s", directory, strerror(errno));
	return errno == EEXIST ? EX_OK :
				 report_error(EX_CANTCREAT, "%s: %s. Is proxxy installed?", directory, strerror(errno));
}

/* Appends formatted text. *at is its end, or -1 after it did not fit. */
static void __attribute__((format(printf, 4, 5))) append(char *out, size_t size, int *at, const char *format, ...)
{
	va_list args;
	int n;

	if (*at < 0)
		return;
	va_start(args, format);
	n = vsnprintf(out + *at, size - (size_t)*at, format, args);
	va_end(args);
	*at = n >= 0 && (size_t)n < size - (size_t)*at ? *at + n : -1;
}

int files_format(const struct setup *s, const char *token, char *out, size_t size)
{
	char text[CERTIFICATE_FINGERPRINT_MAX];
	int at = 0;

	append(out, size, &at, "# Made by proxxy-setup. See proxxy.conf(5).\nHOSTS=");
	for (size_t i = 0; i < s->cluster.n_hosts; i++) {
		const struct cluster_host *host = &s->cluster.hosts[i];
		const bool port = host->port != 0 && host->port != s->config.upstream_port;
		const bool brackets = port && strchr(host->host, ':');

		append(out, size, &at, "%s%s%s%s", i > 0 ? "," : "", brackets ? "[" : "", host->host,
		       brackets ? "]" : "");
		if (port)
			append(out, size, &at, ":%u", host->port);
	}
	append(out, size, &at, "\nTOKEN=%s\n", token);
	if (s->trust == SETUP_TRUST_CA)
		append(out, size, &at, "CA_FILE=%s\n", s->ca_file);
	for (size_t i = 0; i < s->cluster.n_fingerprints; i++)
		append(out, size, &at, "%s%s",
		       i > 0 ? "," : "FINGERPRINTS=", certificate_fingerprint_text(s->cluster.fingerprints[i], text));
	append(out, size, &at, "%s", s->cluster.n_fingerprints > 0 ? "\n" : "");
	return at;
}

/* Returns true if the file at path has exactly this text. */
static bool file_is(const char *path, const char *text, size_t len)
{
	static char old[CLUSTER_FILE_MAX];
	const ssize_t n = settings_read_file(path, old, sizeof(old));
	const bool same = n >= 0 && (size_t)n == len && memcmp(old, text, len) == 0;

	OPENSSL_cleanse(old, n > 0 ? (size_t)n : 0);
	return same;
}

/* Writes a file, unless it has this text already, and says so. Owner and mode are set in any
 * case. */
static int put(const char *subject, const char *path, const char *text, size_t len, mode_t mode, gid_t group)
{
	const bool same = file_is(path, text, len);
	struct stat st;
	int rc;

	if (same && stat(path, &st) == 0 && (st.st_mode & 07777) == mode && st.st_uid == 0 && st.st_gid == group) {
		report_step(subject, "kept %s", path);
		return EX_OK;
	}
	rc = replace_file(path, text, len, mode, group);
	if (rc == EX_OK)
		report_step(subject, "wrote %s", path);
	return rc;
}

int files_write_cluster(struct setup *s)
{
	static char text[CLUSTER_FILE_MAX];
	int len, rc = make_directory(s->config.cluster_directory);

	if (rc == EX_OK && s->trust == SETUP_TRUST_CA)
		rc = put("CA", s->ca_file, s->ca, strlen(s->ca), 0644, 0);
	if (rc != EX_OK)
		return rc;
	len = files_format(s, s->token, text, sizeof(text));
	rc = len < 0 ? report_error(EX_SOFTWARE, "the cluster file is too long") :
		       put("cluster file", s->file, text, (size_t)len, 0640, s->group);
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

/* --- proxxy-url's settings ---------------------------------------------------------------- */

/* Returns true if the line sets PROXXY_PAGE. */
static bool sets_page(const char *line, size_t len)
{
	const char *end = line + len;

	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return (size_t)(end - line) > strlen("PROXXY_PAGE") &&
	       strncmp(line, "PROXXY_PAGE", strlen("PROXXY_PAGE")) == 0 && strchr("= \t", line[strlen("PROXXY_PAGE")]);
}

/* Copies old to text without lines that set PROXXY_PAGE, and appends one. text has room for all.
 * Returns its length. */
static size_t replace_page(const char *old, const char *page, char *text, size_t size)
{
	size_t at = 0;

	while (*old) {
		const size_t len = strcspn(old, "\n");

		if (!sets_page(old, len)) {
			memcpy(text + at, old, len);
			at += len;
			text[at++] = '\n';
		}
		old += len + (old[len] == '\n');
	}
	return at + (size_t)snprintf(text + at, size - at, "PROXXY_PAGE=%s\n", page);
}

static const char *url_config(void)
{
	const char *set = getenv("PROXXY_URL_CONFIG");

	return set && *set ? set : URL_CONFIG;
}

bool files_has_page(void)
{
	static char text[SETTINGS_FILE_MAX];
	const ssize_t n = settings_read_file(url_config(), text, sizeof(text));
	bool found = false;

	for (const char *line = n > 0 ? text : ""; *line && !found;) {
		const size_t len = strcspn(line, "\n");

		found = sets_page(line, len);
		line += len + (line[len] == '\n');
	}
	OPENSSL_cleanse(text, sizeof(text)); /* it may hold the key */
	return found;
}

int files_write_page(const struct setup *s)
{
	static char old[SETTINGS_FILE_MAX], text[SETTINGS_FILE_MAX + SETUP_PAGE_MAX + 32];
	const char *path = url_config();
	ssize_t n = settings_read_file(path, old, sizeof(old));
	struct stat st = { .st_mode = 0644 };
	size_t len;

	if (n < 0 && n != -ENOENT)
		return report_error(EX_CONFIG, "%s: %s", path, strerror((int)-n));
	old[n > 0 ? n : 0] = '\0';
	if (n >= 0 && stat(path, &st) < 0)
		return report_error(EX_CONFIG, "%s: %s", path, strerror(errno));
	len = replace_page(old, s->options.page, text, sizeof(text));
	n = put("proxxy-url", path, text, len, st.st_mode & 0777, st.st_gid);
	OPENSSL_cleanse(old, sizeof(old)); /* it may hold the key */
	OPENSSL_cleanse(text, sizeof(text));
	return (int)n;
}

static int count_file(void *n, const char *path)
{
	(void)path;
	++*(unsigned *)n;
	return OK;
}

unsigned files_count(const struct setup *s)
{
	unsigned n = 0;
	char why[512];

	settings_each_file(s->config.cluster_directory, count_file, &n, why, sizeof(why));
	return n;
}

int files_remove(const struct setup *s)
{
	const char *const paths[] = { s->file, s->ca_file };

	for (size_t i = 0; i < 2; i++) {
		if (unlink(paths[i]) == 0)
			report_step(i == 0 ? "cluster file" : "CA", "removed %s", paths[i]);
		else if (errno != ENOENT)
			return report_error(EX_CANTCREAT, "%s: %s", paths[i], strerror(errno));
	}
	return EX_OK;
}
