/* SPDX-License-Identifier: Apache-2.0
 *
 * Defines proxxy-url's settings in one table, and reads the token, password and keys.
 */
#include "url/backend.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/slice.h"
#include "lib/uri.h"

#define DEFAULT_CONFIG "/etc/proxxy/proxxy-url.conf"
#define DEFAULT_TOKEN_FILE "/etc/proxxy/proxmox.token"
#define DEFAULT_PASSWORD_FILE "/etc/proxxy/proxmox.password"

/* Returns true if text is a URL with this scheme ("https://"), without a query or fragment. Sets
 * *ret_path to the offset of its path. */
static bool is_url(const char *text, const char *scheme, size_t *ret_path)
{
	const size_t n = strlen(scheme);
	size_t authority;

	if (strncmp(text, scheme, n) != 0)
		return false;
	authority = strcspn(text + n, "/");
	if (authority == 0)
		return false;
	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at >= 0x7F || strchr("?#\"<>\\^`{|}", *at))
			return false;
	*ret_path = n + authority;
	return uri_is_authority((struct slice){ text + n, authority });
}

/* Stores the pages' URL, with a slash at its end, and its origin. */
static bool parse_page(void *at, const struct setting *s, const char *value)
{
	struct backend *b = at;
	const size_t len = strlen(value);
	size_t path;
	char *port;

	(void)s;
	b->page[0] = '\0';
	if (len == 0)
		return true;
	if (len + sizeof("/wss") > sizeof(b->page) || /* backend_load() makes the WebSocket's URL of it */
	    uri_names_a_page(value) || (!is_url(value, "https://", &path) && !is_url(value, "http://", &path)) ||
	    path > HOST_ORIGIN_MAX)
		return false;
	snprintf(b->page, sizeof(b->page), "%s%s", value, value[len - 1] == '/' && len > path ? "" : "/");
	snprintf(b->origin, sizeof(b->origin), "%.*s", (int)path, value);
	/* Browsers omit the scheme's default port (RFC 6454 section 6.2). */
	port = strrchr(b->origin, ':');
	if (strcmp(port, strncmp(value, "https:", 6) == 0 ? ":443" : ":80") == 0)
		*port = '\0';
	return host_origins_valid(b->origin);
}

static bool parse_websocket(void *backend, const struct setting *s, const char *value)
{
	size_t path;

	return (!*value || is_url(value, "wss://", &path) || is_url(value, "ws://", &path)) &&
	       settings_parse_text(backend, s, value);
}

static bool parse_host(void *backend, const struct setting *s, const char *value)
{
	struct console ignored;

	return (!*value || payload_parse_host(value, &ignored) == OK) && settings_parse_text(backend, s, value);
}

bool backend_cluster_valid(const char *text)
{
	return *text != '.' && keys_name_valid(text, strlen(text));
}

static bool parse_cluster(void *backend, const struct setting *s, const char *value)
{
	return (!*value || backend_cluster_valid(value)) && settings_parse_text(backend, s, value);
}

#define TEXT(parse, member) parse, offsetof(struct backend, member), 0, (int)sizeof(((struct backend *)NULL)->member)

static const struct setting table[] = {
	{ "PROXXY_PAGE", "", "URL of the console pages: https://panel.example.com/console/", TEXT(parse_page, page) },
	{ "PROXXY_WEBSOCKET", "", "URL of proxxy: wss://panel.example.com/console/ws. Default: ws beside the pages",
	  TEXT(parse_websocket, websocket) },
	{ "PROXXY_CLUSTER", "",
	  "Name of proxxy's cluster file for --cluster. Default: the only one in PROXXY_CLUSTER_DIRECTORY",
	  TEXT(parse_cluster, cluster) },
	{ "PROXXY_KEY_FILE", KEY_FILE, "File with the key that is shared with proxxy, read if it exists",
	  keys_parse_file, 0, 0, 0 },
	{ "SIGNATURE_KEY", "",
	  "That key: 64 hex digits, or several name:hex separated by commas, of which the first encrypts. Better kept "
	  "in PROXXY_KEY_FILE",
	  keys_parse_text, 0, 0, 0 },
	{ "PROXMOX_HOST", "",
	  "For --ask: name or address of Proxmox's API, with :port unless 8006. Default: the guest's node",
	  TEXT(parse_host, host) },
	{ "PROXMOX_TOKEN_FILE", DEFAULT_TOKEN_FILE, "For --ask: file with an API token, USER@REALM!NAME=SECRET",
	  TEXT(settings_parse_text, token_file) },
	{ "PROXMOX_USER", "", "For --ask: user that logs in, instead of the token: USER@REALM",
	  TEXT(settings_parse_text, user) },
	{ "PROXMOX_PASSWORD_FILE", DEFAULT_PASSWORD_FILE, "For --ask: file with that user's password",
	  TEXT(settings_parse_text, password_file) },
	{ "PROXXY_CA_FILE", "",
	  "For --ask: PEM file of the CAs that Proxmox's certificate must chain to. The payload passes them "
	  "to proxxy. Default: the system's",
	  TEXT(settings_parse_text, ca_file) },
};
static const struct settings settings = { table, sizeof(table) / sizeof(table[0]) };

int backend_load(struct backend *ret, char *why, size_t size)
{
	const char *path = getenv("PROXXY_URL_CONFIG");
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = settings_load(&settings, ret, path && *path ? path : DEFAULT_CONFIG, why, size);
	if (rc < 0) {
		keys_wipe();
		return rc;
	}
	if (!*ret->websocket && *ret->page) /* http becomes ws, and https wss */
		snprintf(ret->websocket, sizeof(ret->websocket), "ws%.500sws", ret->page + strlen("http"));
	return keys_load(ret->keys, &ret->n_keys, why, size);
}

int backend_read_secret(const char *path, const char *setting, char text[BACKEND_SECRET_MAX], char *why, size_t size)
{
	ssize_t n = settings_read_file(path, text, BACKEND_SECRET_MAX);
	char group[160];
	size_t len;

	if (n < 0)
		return error_why(why, size, ERR_CONFIG, "%s %s: %s%s", setting, path, strerror((int)-n),
				 n == -EACCES ? keys_who_may_read(path, group, sizeof(group)) : "");
	len = byte_order_mark_len(text, strlen(text));
	memmove(text, text + len, strlen(text + len) + 1);
	len = strlen(text);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7F)
			len = 0;
	if (len == 0) {
		OPENSSL_cleanse(text, (size_t)n);
		return error_why(why, size, ERR_CONFIG, "%s %s must contain exactly one line", setting, path);
	}
	return OK;
}

/* Removes surrounding spaces and one pair of quotes from text. Returns its new beginning. */
static char *unwrap(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	if (len >= 2 && (*text == '"' || *text == '\'') && text[len - 1] == *text) {
		text[len - 1] = '\0';
		text++;
	}
	return text;
}

const char *backend_token(char *text, char *why, size_t size)
{
	char *at = unwrap(text);
	const char *bang, *secret;

	if (strncasecmp(at, "Authorization:", strlen("Authorization:")) == 0)
		at = unwrap(at + strlen("Authorization:"));
	if (strncasecmp(at, "PVEAPIToken=", strlen("PVEAPIToken=")) == 0)
		at = unwrap(at + strlen("PVEAPIToken="));
	bang = strchr(at, '!');
	secret = bang ? strchr(bang, '=') : NULL;
	if (bang && !secret)
		error_why(why, size, ERR_CONFIG,
			  "has no =SECRET after USER@REALM!NAME: "
			  "Proxmox shows the secret only once, when the token is created");
	else if (!bang || !memchr(at, '@', (size_t)(bang - at)) || !secret[1])
		error_why(why, size, ERR_CONFIG, "does not contain USER@REALM!NAME=SECRET");
	else if (strpbrk(at, " \t\"'"))
		error_why(why, size, ERR_CONFIG, "has a space or quote inside USER@REALM!NAME=SECRET");
	else
		return at;
	return NULL;
}

void backend_wipe(struct backend *backend)
{
	OPENSSL_cleanse(backend->keys, sizeof(backend->keys));
}

void backend_print_help(FILE *out)
{
	settings_print_names(&settings, out);
}

void backend_print_file(FILE *out)
{
	fputs("# Settings of proxxy-url. KEY=VALUE lines; the environment overrides them. See proxxy-url(1).\n"
	      "# The files proxxy-url.conf.d/*.conf are read after this one; the last line for a setting counts.\n",
	      out);
	settings_print_file(&settings, out);
}
