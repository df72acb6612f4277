/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's empty session: a process that answers any request with an upgrade and the banner,
 * and exits when its client does. Measures what systemd-socket-activate, fork and exec cost alone.
 */
#include <string.h>
#include <unistd.h>

int main(void)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x82\x0CRFB 003.008\n";
	char buf[4096];

	if (read(STDIN_FILENO, buf, sizeof(buf)) <= 0 || write(STDOUT_FILENO, answer, strlen(answer)) < 0)
		return 1;
	while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
	_exit(0);
}
