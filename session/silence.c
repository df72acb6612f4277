/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the kernel (TCP_INFO, SIOCOUTQ) whether a peer still acknowledges data. relay_time.c calls
 * it for both peers of a session.
 */
#include "session/silence.h"

#include <netinet/tcp.h>

void silence_init(struct silence *s)
{
	*s = (struct silence){ .next_check = INT64_MAX, .silent_since = -1 };
}

/* Returns how many milliseconds ago the peer's kernel last sent anything, or -1 if no answer is
 * due. A reachable kernel answers everything: also zero-window probes, and data that it
 * drops because its buffer is full. But it limits these answers to two a second (Linux's
 * tcp_invalid_ratelimit), so a single missing answer means nothing. */
static int64_t silent_for(const struct endpoint *e)
{
	struct tcp_info info;
	bool due;

	if (!io_tcp_info(e, &info))
		return -1;
	due = info.tcpi_probes > 1 || (info.tcpi_unacked > 0 && info.tcpi_retransmits > 1 &&
				       info.tcpi_last_data_sent < info.tcpi_last_ack_recv);
	/* Linux does not count data that acknowledges nothing new as an acknowledgement. */
	if (info.tcpi_last_data_recv < info.tcpi_last_ack_recv)
		info.tcpi_last_ack_recv = info.tcpi_last_data_recv;
	return due ? (int64_t)info.tcpi_last_ack_recv : -1;
}

bool silence_received_since(const struct endpoint *e, int64_t since)
{
	enum { TICK_MS = 20 }; /* the kernel counts in ticks of at most 10 ms */
	struct tcp_info info;

	return !io_tcp_info(e, &info) || (int64_t)info.tcpi_last_data_recv <= io_now() - since + TICK_MS;
}

const char *silence_judge(struct silence *s, const struct direction *d, int64_t now, int64_t step, int64_t gone,
			  bool asked)
{
	size_t unacknowledged;
	int64_t silent;

	s->wrote |= d->did_write;
	if ((s->wrote || direction_wants_write(d)) && s->next_check == INT64_MAX) {
		s->next_check = now + step;
		s->progress_at = now;
	}
	if (now < s->next_check)
		return NULL;
	unacknowledged = io_unacknowledged(d->to);
	if (unacknowledged == 0) {
		silence_init(s);
		return NULL;
	}
	s->next_check = now + step;
	/* Data that goes through in small pieces leaves the same number of bytes each time. */
	if (unacknowledged != s->unacknowledged || s->wrote)
		s->progress_at = now;
	s->wrote = false;
	s->unacknowledged = unacknowledged;

	/* An answer may be in transit: it is missing only if it was due at the last check too. */
	silent = silent_for(d->to);
	if (silent < 0)
		s->silent_since = -1;
	else if (s->silent_since < 0 || silent < now - s->silent_since)
		s->silent_since = now;
	/* Before the data, keepalive probed the peer. If nothing came for so long that keepalive
	 * would have ended the connection, the data must not extend the wait. */
	if (asked && s->silent_since >= 0 &&
	    (now - s->silent_since >= gone || (now > s->silent_since && silent >= SILENCE_KEEPALIVE_MS)))
		return "it acknowledges no data";
	return now - s->progress_at >= SILENCE_PAUSE_MS ? "it has accepted no data for 15 minutes" : NULL;
}
