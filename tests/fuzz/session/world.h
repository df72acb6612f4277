/* SPDX-License-Identifier: Apache-2.0
 *
 * The world of a fuzzed session: a client, a Proxmox, a kernel between them and a clock, all
 * controlled by the input. It answers each call of the session to libc (libc.c). So nothing is real
 * and nothing takes time: the clock moves only while everyone waits.
 *
 * The input is four bytes of settings and then events. An event happens when the session has
 * nothing left to do but wait; with EVENT_AT_ONCE set, together with the one before it.
 */
#ifndef PROXXY_TESTS_FUZZ_WORLD_H
#define PROXXY_TESTS_FUZZ_WORLD_H

#include "tests/fuzz/fuzz.h"

enum {
	WORLD_CLIENT = 0,               /* descriptors: the client's is the standard input, */
	WORLD_UPSTREAM = 100,           /* Proxmox's one that nobody has */
	WORLD_BYTES_MAX = 320 * 1024,   /* that either peer sends */
	WORLD_BEGAN = 1000000,          /* milliseconds since boot when it begins, */
	WORLD_EPOCH = 1700000000,       /* and seconds since 1970 */
	WORLD_KEEPALIVE_MS = 50 * 1000, /* after which keepalive resets a connection whose peer vanished */
};

enum event {
	EVENT_CLIENT_SENDS,   /* count, bytes; "$3" in a request's head is the fourth payload of world.payloads */
	EVENT_UPSTREAM_SENDS, /* count, bytes */
	EVENT_CLIENT_FRAME,   /* first byte of the head, length */
	EVENT_UPSTREAM_FRAME,
	EVENT_REQUEST, /* number of the payload: a whole request, with it */
	EVENT_ROOM,    /* whose (lowest bit), 2 bytes: how much it takes from now on; the largest is any */
	EVENT_END,     /* whose (lowest bit), how: 0 FIN, 1 RST, 2 takes nothing any more */
	EVENT_TIME,    /* 2 bytes: so many times 50 ms */
	EVENT_SIGTERM,
	EVENT_CHOP,    /* size, count: so many reads and writes move no more */
	EVENT_EINTR,   /* count: so many calls are interrupted */
	EVENT_UNACKED, /* 0, 1: the client owes no ACK, owes one; 2, 3: the client, Proxmox vanishes */
	EVENTS,
	EVENT_AT_ONCE = 0x80,
};

struct peer {
	uint8_t bytes[WORLD_BYTES_MAX]; /* that it sent */
	size_t sent, read;              /* of those, how many arrived, and how many the session read */
	bool fin, reset;                /* what comes behind them */
	bool deaf;                      /* whatever is written to it fails */
	size_t room;                    /* bytes that may be written to it; SIZE_MAX for any */
	int64_t vanished;               /* when its host went, without a FIN or an RST; 0 while it is there */
	bool owes;                      /* it was sent something since */
	bool refused;                   /* a write did not go through, for now or for good */
	int64_t blocked;        /* since when it takes nothing, although something was offered; 0 when it does */
	int64_t arrived;        /* when its last bytes arrived */
	uint8_t offered[16384]; /* what was offered to a write that had to wait: TLS wants the same again */
	size_t n_offered;
};

/* What the input's first bytes choose. */
struct world_settings {
	uint8_t config, timers, upstream, rest;
};

struct world {
	bool on; /* else libc answers */
	struct world_settings settings;
	struct input events;
	struct peer client, upstream;
	int64_t now;      /* milliseconds */
	bool terminating; /* SIGTERM is pending */
	void (*on_sigterm)(int);
	unsigned chop, chops, interruptions, unacked, randoms;
	bool over;             /* no more events; */
	int64_t over_since;    /* from when on */
	uint64_t pending_time; /* of an event of time that is not over */
	size_t idle;           /* calls since anything moved */
	const char *const *payloads;
	size_t n_payloads;
	bool head_sent; /* the client's request is whole: no more payloads are put in */
};
extern struct world world;

/* Begins a world that events act. */
void world_begin(const uint8_t *data, size_t size, const char *const *payloads, size_t n_payloads);

/* Makes the next event happen, and those that come at once with it. When none are left, ends the
 * world. */
void world_happen(void);

/* The client answers a Ping, unless it has left. */
void world_pong(void);

/* True when p has not acknowledged what it was sent. */
bool world_owes(const struct peer *p);

/* Lets up to most milliseconds pass. Returns true when they did. */
bool world_pass_time(int64_t most);

/* The session is about to wait: is there nothing that it could do? */
void witness_wait(void);

/* True if the client can answer a Ping now: once a Ping. */
bool witness_pong_due(void);

/* What the target does with all that leaves the session. */
void witness_read(bool client, const uint8_t *bytes, size_t n);
void witness_written(bool client, const uint8_t *bytes, size_t n);
void witness_log(const char *text, size_t n);
void witness_exit(int status) __attribute__((noreturn));

#endif
