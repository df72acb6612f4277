/* SPDX-License-Identifier: Apache-2.0
 *
 * The modelled world of a fuzzed session: a client, a Proxmox, a kernel between them and a clock,
 * all controlled by the input. libc.c uses it to answer each call that the session makes to libc.
 * Nothing is real and nothing takes time: the clock moves only while everyone waits.
 *
 * The input is four bytes of settings and then events. An event happens when the session can only
 * wait. With EVENT_AT_ONCE set, it happens together with the event before it.
 */
#ifndef PROXXY_TESTS_FUZZ_WORLD_H
#define PROXXY_TESTS_FUZZ_WORLD_H

#include "tests/fuzz/fuzz.h"

enum {
	WORLD_CLIENT = 0,               /* the client's descriptor: standard input */
	WORLD_UPSTREAM = 100,           /* Proxmox's descriptor: no real one has this number */
	WORLD_BYTES_MAX = 320 * 1024,   /* bytes that either peer can send */
	WORLD_BEGAN = 1000000,          /* start of the session: milliseconds since boot */
	WORLD_EPOCH = 1700000000,       /* and seconds since 1970 */
	WORLD_KEEPALIVE_MS = 50 * 1000, /* then keepalive resets a connection whose peer vanished */
};

enum event {
	EVENT_CLIENT_SENDS,   /* count, bytes; "$3" in a request's head is the fourth payload of world.payloads */
	EVENT_UPSTREAM_SENDS, /* count, bytes */
	EVENT_CLIENT_FRAME,   /* first byte of the head, length */
	EVENT_UPSTREAM_FRAME,
	EVENT_REQUEST, /* number of a payload: a complete request with it */
	EVENT_ROOM,    /* peer (lowest bit), 2 bytes: how much it accepts from now on; 0xFFFF: everything */
	EVENT_END,     /* peer (lowest bit), how: 0 FIN, 1 RST, 2 writes to it fail */
	EVENT_TIME,    /* 2 bytes: time passes, in units of 50 ms */
	EVENT_SIGTERM,
	EVENT_CHOP,    /* size, count: so many reads and writes move at most size + 1 bytes */
	EVENT_EINTR,   /* count: so many calls are interrupted */
	EVENT_UNACKED, /* 0 or 1: whether the client owes an ACK; 2: the client vanishes; 3: Proxmox vanishes */
	EVENTS,
	EVENT_AT_ONCE = 0x80,
};

struct peer {
	uint8_t bytes[WORLD_BYTES_MAX]; /* bytes that it sent */
	size_t sent, read;              /* how many of them arrived, and how many the session read */
	bool fin, reset;                /* what follows them */
	bool deaf;                      /* writes to it fail */
	size_t room;                    /* bytes that may be written to it; SIZE_MAX for any */
	int64_t vanished;               /* when its host disappeared without a FIN or an RST; 0 if it did not */
	bool owes;                      /* data was sent to it since then */
	bool refused;                   /* a write to it failed, or wrote only a part */
	int64_t blocked;                /* since when it has not accepted a write; 0 while it accepts */
	int64_t arrived;                /* when its last bytes arrived */
	int64_t taken;                  /* when the session last read some of them */
	uint8_t offered[16384];         /* the bytes of a write that had to wait: TLS must write the same again */
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
	bool over;             /* no events are left */
	int64_t over_since;    /* since when */
	uint64_t pending_time; /* milliseconds of EVENT_TIME that have not passed */
	size_t idle;           /* calls since the last progress */
	const char *const *payloads;
	size_t n_payloads;
	bool head_sent; /* the client's request head is complete: payloads replace no more "$N" */
};
extern struct world world;

/* Begins a world with the settings and events in data. */
void world_begin(const uint8_t *data, size_t size, const char *const *payloads, size_t n_payloads);

/* Performs the next event, and those that happen together with it. If none is left, ends the
 * world. */
void world_happen(void);

/* The client sends a Pong, unless it has left. */
void world_pong(void);

/* True if p has not acknowledged data that was sent to it. */
bool world_owes(const struct peer *p);

/* Lets up to most milliseconds pass. Returns true if all of them passed. */
bool world_pass_time(int64_t most);

/* The session is about to wait: checks that there is nothing that it could do instead. */
void witness_wait(void);

/* True if the client can answer a Ping now. True only once for each Ping. */
bool witness_pong_due(void);

/* The target checks what the session reads, writes and logs, and how it exits. */
void witness_read(bool client, const uint8_t *bytes, size_t n);
void witness_written(bool client, const uint8_t *bytes, size_t n);
void witness_log(const char *text, size_t n);
void witness_exit(int status) __attribute__((noreturn));

#endif
