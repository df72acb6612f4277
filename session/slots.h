/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots: lets at most so many processes at once hold a key. A slot is one byte of a file that a
 * process holds a lock of (F_OFD_SETLK of fcntl(2)). The kernel drops the lock when the process
 * ends, however it ends. So nothing counts, and nothing is left to clean up. The files are empty.
 */
#ifndef PROXXY_SLOTS_H
#define PROXXY_SLOTS_H

#include <stdint.h>

enum {
	/* Linux keeps the locks of a file in one list, which each call walks. So the keys are
	 * spread over files, which are named 00 to ff. */
	SLOTS_FILES = 256,
	/* For the same reason, a file has at most so many slots of a key. A key with more slots
	 * uses the next files too. */
	SLOTS_PER_FILE = 64,
	SLOTS_MAX = 4096, /* of a key */

	SLOTS_FULL = -1, /* slots_take(): all of the key's slots are taken */
};

/* Takes one of a key's slots, of which there are limit (1 to SLOTS_MAX), in the directory. key is a
 * hash: its first 8 bits choose the file, the others the place in it. Tries one slot after another
 * from number start on, modulo limit. With a random start, a few attempts are enough unless almost
 * all slots are taken; there are limit attempts at most.
 * Returns a descriptor, which holds the slot until it is closed; SLOTS_FULL; or ERR_SYSTEM with
 * errno if a file cannot be opened, or its file system has no such locks. */
int slots_take(int directory, uint64_t key, int limit, unsigned start);

#endif
