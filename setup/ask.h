/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the administrator on the terminal, /dev/tty, whatever standard input and output are.
 */
#ifndef PROXXY_SETUP_ASK_H
#define PROXXY_SETUP_ASK_H

#include <stdbool.h>
#include <stddef.h>

/* Returns true if the program has a terminal. */
bool ask_possible(void);

/* Asks a question that is answered with yes or no, again until it is. Returns true for yes; false
 * for no, at the end of input, and without a terminal. */
bool ask_yes(const char *question);

/* Asks for a password, without echo, and copies it to password[0..size), NUL-terminated. A signal
 * that ends the program restores the echo first. Returns false, with nothing in password, if it is
 * empty or too long, at the end of input, and without a terminal. */
bool ask_password(const char *prompt, char *password, size_t size);

#endif
