/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings and keys, see config.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "error.h"
#include "host.h"
#include "list.h"

#define DEFAULT_CONFIG "/etc/proxxy/proxxy.conf"
#define DEFAULT_KEY_FILE "/etc/proxxy/signature.key"
#define CREDENTIAL "signature-key"

struct context {
	struct config *config;
	char key_file[4096];
	bool key_file_is_set;
	char keys[CONFIG_VALUE_MAX]; /* SIGNATURE_KEY; secret */
	char *why;
	size_t why_size;
};

static int __attribute__((format(printf, 2, 3))) fail(struct context *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why, c->why_size, format, args);
	va_end(args);
	return ERR_CONFIG;
}

struct setting {
	const char *name, *fallback, *meaning;
	/* Takes value into c. Returns false when it is not a value of this kind. */
	bool (*parse)(struct context *c, const struct setting *s, const char *value);
	size_t offset; /* of the member of struct config that a number goes to */
	int min, max;
};

static bool parse_number(struct context *c, const struct setting *s, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	long number;
	int n;

	if (digits == 0 || digits > 9 || value[digits] != '\0')
		return false;
	number = strtol(value, NULL, 10);
	if (number < s->min || number > s->max)
		return false;
	n = (int)number;
	memcpy((char *)c->config + s->offset, &n, sizeof(n));
	return true;
}

static bool parse_switch(struct context *c, const struct setting *s, const char *value)
{
	(void)s;
	if (strcasecmp(value, "on") != 0 && strcasecmp(value, "off") != 0)
		return false;
	c->config->tls_verify = strcasecmp(value, "on") == 0;
	return true;
}

static bool copy_value(char *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return false;
	memcpy(to, value, strlen(value) + 1);
	return true;
}

static bool parse_ca_file(struct context *c, const struct setting *s, const char *value)
{
	(void)s;
	return copy_value(c->config->ca_file, sizeof(c->config->ca_file), value);
}

static bool parse_state_directory(struct context *c, const struct setting *s, const char *value)
{
	(void)s;
	return *value == '/' && copy_value(c->config->state_directory, sizeof(c->config->state_directory), value);
}

static bool parse_hosts(struct context *c, const struct setting *s, const char *value)
{
	(void)s;
	return host_list_valid(value) && copy_value(c->config->allowed_hosts, sizeof(c->config->allowed_hosts), value);
}

static bool parse_origins(struct context *c, const struct setting *s, const char *value)
{
	(void)s;
	return host_origins_valid(value) && copy_value(c->config->allowed_origins, sizeof(c->config->allowed_origins), value);
}

static bool parse_payloads(struct context *c, const struct setting *s, const char *value)
{
	const char *item;
	size_t len;

	(void)s;
	c->config->accept_cbc = c->config->accept_jwe = false;
	while ((item = list_next(&value, &len))) {
		if (len == 3 && strncmp(item, "cbc", len) == 0)
			c->config->accept_cbc = true;
		else if (len == 3 && strncmp(item, "jwe", len) == 0)
			c->config->accept_jwe = true;
		else
			return false;
	}
	return c->config->accept_cbc || c->config->accept_jwe;
}

static bool parse_key_file(struct context *c, const struct setting *s, const char *value)
{
	c->key_file_is_set = strcmp(value, s->fallback) != 0;
	return copy_value(c->key_file, sizeof(c->key_file), value);
}

static bool parse_keys(struct context *c, const struct setting *s, const char *value)
{
	(void)s;
	return copy_value(c->keys, sizeof(c->keys), value);
}

static bool parse_log(struct context *c, const struct setting *s, const char *value)
{
	static const char *const names[] = { "auto", "journal", "syslog", "stderr" };

	(void)s;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(value, names[i]) == 0) {
			c->config->log = (enum log_target)i;
			return true;
		}
	return false;
}

static bool parse_fingerprints(struct context *c, const struct setting *s, const char *value)
{
	struct config *config = c->config;
	const char *item;
	size_t len;

	(void)s;
	config->n_fingerprints = 0;
	while ((item = list_next(&value, &len))) {
		if (config->n_fingerprints == CONFIG_FINGERPRINTS_MAX ||
		    crypto_fingerprint(item, len, config->fingerprints[config->n_fingerprints]) < 0)
			return false;
		config->n_fingerprints++;
	}
	return true;
}

#define NUMBER(member) parse_number, offsetof(struct config, member)

static const struct setting settings[] = {
	{ "SIGNATURE_KEY", "", "The key shared with the backend: 64 hex digits, or several kid:hex separated by commas. "
	  "Better kept in PROXXY_KEY_FILE", parse_keys, 0, 0, 0 },
	{ "PROXXY_KEY_FILE", DEFAULT_KEY_FILE, "File with the same, read if it is there", parse_key_file, 0, 0, 0 },
	{ "PROXXY_PAYLOADS", "cbc,jwe", "Payload formats that are accepted: jwe alone refuses what is not authenticated", parse_payloads, 0, 0, 0 },
	{ "PROXXY_PAYLOAD_LIFETIME", "300", "Seconds that a jwe payload's exp may lie ahead", NUMBER(payload_lifetime), 1, 86400 },
	{ "PROXXY_STATE_DIRECTORY", "/var/lib/proxxy", "Where the jti of payloads that were used are kept until they expire", parse_state_directory, 0, 0, 0 },
	{ "PROXXY_ALLOWED_HOSTS", "", "Names, *.wildcards and networks that may be dialled, comma-separated. Default: all but "
	  "loopback, link-local and metadata services", parse_hosts, 0, 0, 0 },
	{ "PROXXY_ALLOWED_ORIGINS", "", "Origins whose pages may open consoles, comma-separated: https://panel.example.com. "
	  "Default: any", parse_origins, 0, 0, 0 },
	{ "PROXXY_UPSTREAM_PORT", "8006", "Proxmox's port when the payload's host has none", NUMBER(upstream_port), 1, 65535 },
	{ "PROXXY_CA_FILE", "", "PEM file of the CAs that Proxmox's certificate may chain to. Default: the system's", parse_ca_file, 0, 0, 0 },
	{ "PROXXY_FINGERPRINTS", "", "SHA-256 fingerprints of Proxmox certificates that are accepted as well, comma-separated", parse_fingerprints, 0, 0, 0 },
	{ "PROXXY_TLS_VERIFY", "on", "off: anyone on the network may pose as Proxmox", parse_switch, 0, 0, 0 },
	{ "PROXXY_REQUEST_TIMEOUT", "10", "Seconds for the client's request", NUMBER(request_timeout), 1, 3600 },
	{ "PROXXY_CONNECT_TIMEOUT", "10", "Seconds for DNS, TCP, TLS and Proxmox's answer; Proxmox takes 3 to refuse", NUMBER(connect_timeout), 1, 3600 },
	{ "PROXXY_PING_INTERVAL", "30", "Seconds of silence before a Ping to the client; 0 is off", NUMBER(ping_interval), 0, 86400 },
	{ "PROXXY_IDLE_TIMEOUT", "0", "Seconds without data either way that end a session; 0 is never", NUMBER(idle_timeout), 0, 31536000 },
	{ "PROXXY_SESSION_MAX", "0", "Seconds that a session may last; 0 is no limit", NUMBER(session_max), 0, 31536000 },
	{ "PROXXY_LOG", "auto", "journal, syslog, stderr, or auto: by what standard error is", parse_log, 0, 0, 0 },
	{ "PORT", "8443", "Port of the foreground program and the container; systemd and xinetd have their own", NUMBER(port), 1, 65535 },
};
#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static const struct setting *find_setting(const char *name)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

static int set(struct context *c, const struct setting *s, const char *value, const char *source)
{
	/* The value is not repeated: it may be a key that went to the wrong line. */
	if (!s->parse(c, s, value))
		return fail(c, "%s: %s has a value that is not understood (%s)", source, s->name, s->meaning);
	return OK;
}

/* Reads a small file whole, NUL-terminated. Returns its size, or -errno; -EFBIG when it does not fit. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((got = read(fd, buf + n, size - n)) > 0 || (got < 0 && errno == EINTR)) {
		n += got > 0 ? (size_t)got : 0;
		if (n == size)
			break;
	}
	if (got < 0)
		got = -errno;
	close(fd);
	if (got < 0)
		return got;
	if (n == size)
		return -EFBIG;
	buf[n] = '\0';
	return (ssize_t)n;
}

/* Cuts white space off both ends, and one pair of quotes around all of it. */
static char *strip(char *s, bool quotes)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len > 0 && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	if (quotes && len >= 2 && (s[0] == '"' || s[0] == '\'') && s[len - 1] == s[0]) {
		s[len - 1] = '\0';
		s++;
	}
	return s;
}

static int parse_file(struct context *c, const char *path, char *text)
{
	int number = 0;

	for (char *line = text, *next; line; line = next) {
		const struct setting *setting;
		char source[4200], *equals;
		int rc;

		number++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line = strip(line, false);
		if (*line == '\0' || *line == '#')
			continue;
		snprintf(source, sizeof(source), "%s line %d", path, number);
		equals = strchr(line, '=');
		if (!equals)
			return fail(c, "%s is not KEY=VALUE", source);
		*equals = '\0';
		setting = find_setting(strip(line, false));
		if (!setting)
			return fail(c, "%s names no setting of proxxy", source);
		if (getenv(setting->name))
			continue;
		rc = set(c, setting, strip(equals + 1, true), source);
		if (rc < 0)
			return rc;
	}
	return OK;
}

static int load_file(struct context *c)
{
	const char *path = getenv("PROXXY_CONFIG");
	char *text;
	ssize_t n;
	int rc = OK;

	if (!path || !*path)
		path = DEFAULT_CONFIG;
	text = malloc(CONFIG_FILE_MAX);
	if (!text)
		return fail(c, "%s: out of memory", path);
	n = read_file(path, text, CONFIG_FILE_MAX);
	if (n >= 0) {
		if (strlen(text) != (size_t)n)
			rc = fail(c, "%s holds a NUL byte", path);
		else
			rc = parse_file(c, path, text);
		OPENSSL_cleanse(text, (size_t)n);
	} else if (n != -ENOENT) {
		rc = fail(c, "%s: %s", path, strerror((int)-n));
	}
	free(text);
	return rc;
}

static int load_environment(struct context *c)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		char *value = getenv(settings[i].name);
		int rc = value ? set(c, &settings[i], value, "environment") : OK;

		if (rc < 0)
			return rc;
	}
	return OK;
}

static bool is_kid(const char *s, size_t len)
{
	if (len == 0 || len > CONFIG_KID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= '0' && s[i] <= '9') &&
		    !strchr("-_.", s[i]))
			return false;
	return true;
}

/* "hex", or "kid:hex,kid:hex,…". */
static int take_keys(struct context *c, const char *list, const char *source)
{
	struct config *config = c->config;
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len))) {
		const char *colon = memchr(item, ':', len);
		size_t kid_len = colon ? (size_t)(colon - item) : 0;
		const char *hex = colon ? colon + 1 : item;
		struct config_key *key;

		if (config->n_keys == CONFIG_KEYS_MAX)
			return fail(c, "%s: more than %d keys", source, CONFIG_KEYS_MAX);
		if (colon && !is_kid(item, kid_len))
			return fail(c, "%s: key %zu has a name that is not 1 to %d letters, digits, '-', '_' or '.'",
				    source, config->n_keys + 1, CONFIG_KID_MAX);
		key = &config->keys[config->n_keys];
		if (crypto_hex(hex, len - (size_t)(hex - item), key->key, sizeof(key->key)) < 0)
			return fail(c, "%s: key %zu is not 64 hex digits (32 bytes); \"openssl rand -hex 32\" makes one",
				    source, config->n_keys + 1);
		memcpy(key->kid, item, kid_len);
		key->kid[kid_len] = '\0';
		config->n_keys++;
	}
	if (config->n_keys == 0)
		return fail(c, "%s: no key in it; \"openssl rand -hex 32\" makes one", source);
	return OK;
}

/* The first source that is there: credential, key file, SIGNATURE_KEY. */
static int load_keys(struct context *c)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char path[4200] = "", *end, text[CONFIG_VALUE_MAX];
	bool asked_for = c->key_file_is_set;
	ssize_t n = -ENOENT;
	int rc;

	if (credentials) {
		snprintf(path, sizeof(path), "%s/" CREDENTIAL, credentials);
		n = read_file(path, text, sizeof(text));
		asked_for |= n != -ENOENT;
	}
	if (n == -ENOENT) {
		snprintf(path, sizeof(path), "%s", c->key_file);
		n = read_file(path, text, sizeof(text));
	}
	if (n >= 0) {
		end = text + n;
		while (end > text && strchr(" \t\r\n", end[-1]))
			*--end = '\0';
		rc = take_keys(c, text, path);
		OPENSSL_cleanse(text, sizeof(text));
		return rc;
	}
	/* A file that was asked for and cannot be read is an error; the default one need not be there. */
	if (c->keys[0] && !asked_for)
		return take_keys(c, c->keys, "SIGNATURE_KEY");
	return fail(c, "no key: %s: %s%s; \"openssl rand -hex 32\" makes one", path, strerror((int)-n),
		    c->keys[0] ? "" : ", and no SIGNATURE_KEY");
}

int config_load(struct config *ret_config, char *why, size_t size)
{
	struct context c = { .config = ret_config, .why = why, .why_size = size };
	char *environment;
	int rc = OK;

	memset(ret_config, 0, sizeof(*ret_config));
	for (size_t i = 0; i < N_SETTINGS && rc == OK; i++)
		rc = set(&c, &settings[i], settings[i].fallback, "default");
	if (rc == OK)
		rc = load_environment(&c);
	if (rc == OK)
		rc = load_file(&c);
	if (rc == OK)
		rc = load_keys(&c);
	OPENSSL_cleanse(c.keys, sizeof(c.keys));
	environment = getenv("SIGNATURE_KEY");
	if (environment)
		OPENSSL_cleanse(environment, strlen(environment)); /* it is what /proc/PID/environ shows */
	return rc;
}

void config_wipe_keys(struct config *config)
{
	OPENSSL_cleanse(config->keys, sizeof(config->keys));
	config->n_keys = 0;
}

void config_print_help(FILE *out)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		fprintf(out, i % 3 == 2 || i + 1 == N_SETTINGS ? "  %s\n" : "  %-24s", settings[i].name);
}

void config_print_file(FILE *out)
{
	fputs("# Settings of proxxy, for systemd, xinetd, the container and the foreground alike.\n"
	      "# KEY=VALUE lines; what stands in the environment comes first. See proxxy.conf(5).\n"
	      "# Read anew by each session: a change holds from the next one on.\n", out);
	for (size_t i = 0; i < N_SETTINGS; i++)
		fprintf(out, "\n# %s.\n#%s=%s\n", settings[i].meaning, settings[i].name, settings[i].fallback);
}
