/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that proxxy-setup writes and removes on this machine. Each is written beside its place
 * and then moved there, so that a session reads the old file or the new one.
 */
#ifndef PROXXY_SETUP_FILES_H
#define PROXXY_SETUP_FILES_H

#include "setup/setup.h"

/* Sets s->file and s->ca_file from s->name. Returns EX_OK, or prints an error and returns its exit
 * status. */
int files_name(struct setup *s);

/* Returns true if CA_FILE or FINGERPRINTS of the cluster file accept HOST's certificate. */
bool files_verify(const struct setup *s, const struct cluster *cluster);

/* Reads the cluster file that exists to s->before. It must be of the same cluster: list HOST, or
 * list another host of s->cluster and accept HOST's certificate. Returns EX_OK, also if there is
 * none; else as files_name(). */
int files_read_before(struct setup *s);

/* Writes the CA, if sessions are to use it, and the cluster file: root:proxxy 0640, because it
 * holds the token. Returns as files_name(). */
int files_write_cluster(struct setup *s);

/* Sets PROXXY_PAGE in proxxy-url's settings to options.page. Returns as files_name(). */
int files_write_page(const struct setup *s);

/* Returns true if proxxy-url's settings file has a PROXXY_PAGE. */
bool files_has_page(void);

/* Returns how many cluster files there are. */
unsigned files_count(const struct setup *s);

/* Removes cluster file and CA. Returns as files_name(). */
int files_remove(const struct setup *s);

/* Prints the cluster file's contents to out, which has room for size bytes, with token in place of
 * the secret one. Returns its length, or -1 if it is too long. */
int files_format(const struct setup *s, const char *token, char *out, size_t size);

#endif
