/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers that vanish, see silence.h.
 */
#include "silence.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

void silence_init(struct silence *s)
{
	*s = (struct silence){ .look_at = INT64_MAX, .since = -1 };
}

/* How many milliseconds ago the peer's kernel last acknowledged anything, or -1 when it owes no answer. One that is there
 * answers whatever is sent to it: also probes of its closed window, and data that it drops as its buffer is full. But it
 * answers no more than twice a second (Linux's tcp_invalid_ratelimit): a single unanswered one says nothing. */
static int64_t owed_for(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	bool owed;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -1;
	owed = info.tcpi_probes > 1 || (info.tcpi_unacked > 0 && info.tcpi_retransmits > 1 &&
					info.tcpi_last_data_sent < info.tcpi_last_ack_recv);
	return owed ? (int64_t)info.tcpi_last_ack_recv : -1;
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

	/* An answer may be on its way: only what is owed from one look to the next counts. */
	owed = owed_for(e->fd);
	if (owed < 0)
		s->since = -1;
	else if (s->since < 0 || owed < now - s->since)
		s->since = now;
	if (s->since >= 0 && now - s->since >= gone)
		return "nothing that was sent to it is acknowledged";
	return now - s->moved >= SILENCE_PAUSE_MS ? "it has taken nothing for 15 minutes" : NULL;
}
