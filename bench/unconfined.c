/* SPDX-License-Identifier: Apache-2.0
 *
 * Linked with proxxy-conn, this gives a session without its sandboxes: valgrind, which counts
 * instructions for bench/run, needs files and system calls that they forbid.
 */
struct config;

int __wrap_sandbox_enter_first(const struct config *config);
int __wrap_sandbox_enter(void);

int __wrap_sandbox_enter_first(const struct config *config)
{
	(void)config;
	return 0;
}

int __wrap_sandbox_enter(void)
{
	return 0;
}
