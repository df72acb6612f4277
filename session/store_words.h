/* SPDX-License-Identifier: Apache-2.0
 *
 * Words for the errors that a store answers with. Pure.
 */
#ifndef PROXXY_STORE_WORDS_H
#define PROXXY_STORE_WORDS_H

#include <stddef.h>

/* Writes what is wrong to why[0..size), and what to do about it. error is the answer to command, a
 * command's name. Writes no other part of it than its first word, if that is a code: an error may
 * quote the command's arguments, and so a password. */
void store_words(const char *error, const char *command, char *why, size_t size);

#endif
