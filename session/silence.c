/* SPDX-License-Identifier: Apache-2.0
 *
 * Detects peers that vanish, see silence.h.
 */
#include "session/silence.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

void silence_init(struct silence *s)
{
	*s = (struct silence){ .look_at = INT64_MAX, .since = -1 };
}

/* Returns how many milliseconds ago the peer's kernel last sent anything, or -1 if no answer is
 * due. A reachable kernel answers everything: also zero-window probes, and data that it
 * drops because its buffer is full. But it limits these answers to two a second (Linux's
 * tcp_invalid_ratelimit), so a single missing answer means nothing. */
static int64_t owed_for(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	bool owed;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -1;
	owed = info.tcpi_probes > 1 || (info.tcpi_unacked > 0 && info.tcpi_retransmits > 1 &&
					info.tcpi_last_data_sent < info.tcpi_last_ack_recv);
	/* Linux does not count data that acknowledges nothing new as an acknowledgement. */
	if (info.tcpi_last_data_recv < info.tcpi_last_ack_recv)
		info.tcpi_last_ack_recv = info.tcpi_last_data_recv;
	return owed ? (int64_t)info.tcpi_last_ack_recv : -1;
}

bool silence_received_since(const struct endpoint *e, int64_t since)
{
	enum { TICK_MS = 20 }; /* the kernel counts in ticks of 10 ms or less */
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	       (int64_t)info.tcpi_last_data_recv <= io_now() - since + TICK_MS;
}

const char *silence_judge(struct silence *s, const struct endpoint *e, int64_t now, bool told, int64_t step,
			  int64_t gone)
{
	size_t left;
	int64_t owed;

	if (told && s->look_at == INT64_MAX) {
		s->look_at = now + step;
		s->moved = now;
	}
	if (now < s->look_at)
		return NULL;
	left = io_unacknowledged(e);
	if (left == 0) {
		silence_init(s);
		return NULL;
	}
	s->look_at = now + step;
	if (left != s->left)
		s->moved = now;
	s->left = left;

	/* An answer may be under way: it counts as missing only if it was due at the last look
	 * too. */
	owed = owed_for(e->fd);
	if (owed < 0)
		s->since = -1;
	else if (s->since < 0 || owed < now - s->since)
		s->since = now;
	/* Before the data, keepalive probed the peer. If nothing came for so long that keepalive would
	 * have ended the connection, the data must not extend the wait. */
	if (s->since >= 0 && (now - s->since >= gone || (now > s->since && owed >= SILENCE_KEEPALIVE_MS)))
		return "it acknowledges no data";
	return now - s->moved >= SILENCE_PAUSE_MS ? "it has accepted no data for 15 minutes" : NULL;
}
