/* SPDX-License-Identifier: Apache-2.0
 *
 * The page for operators: a table of the sessions, with a button that ends one. The files of
 * status/page/ are built into the program.
 */
#ifndef PROXXY_STATUS_PAGE_H
#define PROXXY_STATUS_PAGE_H

#include "status/answer.h"

/* Returns the page, one HTML text with its style and script inside. The policy in its header allows
 * these two by their hashes, requests to its own origin, and nothing else. */
struct answer page_answer(void);

#endif
