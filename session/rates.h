/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates: lets a key pass so many times a minute, with as many at once after a quiet minute. This is
 * a token bucket in the form of GCRA (the generic cell rate algorithm of ITU-T I.371), which keeps
 * one time for a key. A file of a fixed size holds the times of the last keys.
 */
#ifndef PROXXY_RATES_H
#define PROXXY_RATES_H

#include <stdint.h>

enum {
	RATES_PER_SET = 4, /* keys whose hashes agree in RATES_SETS */
	RATES_SETS = 16384,
	RATES_FILE_MAX = RATES_SETS * RATES_PER_SET * 16, /* bytes of the file "rates": 1 MiB, for 65,536 keys */
};

/* Lets a key, a hash, pass at the time now, in microseconds of a clock that no one sets
 * (CLOCK_BOOTTIME). per_minute is 1 to 60,000. The file "rates" in the directory is made when it is
 * missing. A key that has no entry, because it is new or newer keys took its place, passes. So does
 * a key with a time beyond a minute from now, which is from before the machine's last start.
 * Returns 0; ERR_LIMIT_RATE, with the seconds until the key may pass in *ret_seconds, 1 to 60; or
 * ERR_SYSTEM with errno if the file cannot be read or written. Only a key that passes changes its
 * time. */
int rates_pass(int directory, uint64_t key, int per_minute, int64_t now, int *ret_seconds);

#endif
