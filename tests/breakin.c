/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts of an attacker who runs code inside a session, to test its two sandboxes. Only the
 * tests' build (make BREAKIN=1) has them, around sandbox_enter() and sandbox_enter_first().
 *
 * The environment variable PROXXY_BREAKIN names one attempt in the second sandbox. The client is
 * told its result, unless the kernel kills the session for it. PROXXY_BREAKIN_FIRST names attempts
 * in the first sandbox, each with a comma behind it. Each is made in a process of its own, and the
 * client gets a line with its result instead of an answer.
 *
 * Each attempt makes the system call itself, so that no library changes it.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/sandbox.h"

static const int client_fd = STDIN_FILENO;
static int upstream_fd;

static struct sockaddr_in elsewhere(void)
{
	/* The discard port on loopback: a connection that succeeds does no harm. */
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(9),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* Of an abstract UNIX socket. */
static struct sockaddr_un abstract(void)
{
	return (struct sockaddr_un){ .sun_family = AF_UNIX, .sun_path = "\0proxxy-breakin" };
}

static const char *state_directory = ""; /* in the first sandbox */

/* Returns the path of a file in the state directory. */
static const char *in_state(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", state_directory, name);
	return path;
}

/* The names of these system calls on 32-bit processors. */
#ifdef SYS_mmap2
#undef SYS_mmap
#define SYS_mmap SYS_mmap2
#endif
#ifndef SYS_newfstatat
#define SYS_newfstatat SYS_fstatat64
#endif

/* CALL is one system call, TRY a function's body. */
#define ATTEMPTS \
	/* Files */ \
	CALL(open_passwd, SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) \
	CALL(open_key, SYS_openat, AT_FDCWD, "/etc/proxxy/signature.key", O_RDONLY) \
	CALL(open_own_memory, SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR) \
	CALL(open_environment, SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY) \
	CALL(open_directory, SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY) \
	CALL(create_file, SYS_openat, AT_FDCWD, "/tmp/proxxy-breakin", O_WRONLY | O_CREAT, 0600) \
	CALL(create_tmpfile, SYS_openat, AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600) \
	CALL(openat2_passwd, 437 /* openat2 */, AT_FDCWD, "/etc/passwd", (uint64_t[3]){ 0 }, 24) \
	CALL(stat_file, SYS_newfstatat, AT_FDCWD, "/etc/passwd", &(struct stat64){ 0 }, 0) \
	CALL(read_link, SYS_readlinkat, AT_FDCWD, "/proc/self/exe", (char[64]){ 0 }, 64) \
	CALL(access_file, SYS_faccessat, AT_FDCWD, "/etc/passwd", R_OK) \
	CALL(make_directory, SYS_mkdirat, AT_FDCWD, "/tmp/proxxy-breakin.d", 0700) \
	CALL(remove_file, SYS_unlinkat, AT_FDCWD, "/tmp/proxxy-breakin", 0) \
	CALL(rename_file, SYS_renameat2, AT_FDCWD, "/tmp/proxxy-a", AT_FDCWD, "/tmp/proxxy-b", 0) \
	CALL(change_mode, SYS_fchmodat, AT_FDCWD, "/tmp/proxxy-breakin", 0600) \
	CALL(change_directory, SYS_chdir, "/tmp") \
	CALL(memory_file, SYS_memfd_create, "x", 0) \
	CALL(open_by_handle, SYS_open_by_handle_at, AT_FDCWD, (int[4]){ 0 }, O_RDONLY) \
	CALL(mount_tmpfs, SYS_mount, "none", "/mnt", "tmpfs", 0, NULL) \
	CALL(change_root, SYS_chroot, "/") \
	CALL(watch_files, SYS_inotify_init1, 0) \
	/* Connections */ \
	CALL(socket_inet, SYS_socket, AF_INET, SOCK_STREAM, 0) \
	CALL(socket_inet6, SYS_socket, AF_INET6, SOCK_STREAM, 0) \
	CALL(socket_udp, SYS_socket, AF_INET, SOCK_DGRAM, 0) \
	CALL(socket_unix, SYS_socket, AF_UNIX, SOCK_STREAM, 0) \
	CALL(socket_netlink, SYS_socket, AF_NETLINK, SOCK_RAW, 0) \
	CALL(socket_packet, SYS_socket, AF_PACKET, SOCK_RAW, 0) \
	CALL(socket_pair, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0 }) \
	TRY(connect_again, struct sockaddr_in a = elsewhere(); \
	    return syscall(SYS_connect, upstream_fd, &a, sizeof(a));) \
	TRY(disconnect, struct sockaddr a = { .sa_family = AF_UNSPEC }; \
	    return syscall(SYS_connect, upstream_fd, &a, sizeof(a));) \
	TRY(bind_port, struct sockaddr_in a = elsewhere(); return syscall(SYS_bind, upstream_fd, &a, sizeof(a));) \
	CALL(listen_on, SYS_listen, upstream_fd, 1) \
	CALL(accept_one, SYS_accept4, upstream_fd, NULL, NULL, 0) \
	TRY(send_to, struct sockaddr_in a = elsewhere(); \
	    return syscall(SYS_sendto, upstream_fd, "x", 1, 0, &a, sizeof(a));) \
	TRY(fast_open, struct sockaddr_in a = elsewhere(); struct iovec v = { "x", 1 }; \
	    struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1 }; \
	    return syscall(SYS_sendmsg, upstream_fd, &m, MSG_FASTOPEN);) \
	/* The journal's datagram socket could send data and descriptors to any other. */ \
	TRY(send_message, struct msghdr m = { 0 }; return syscall(SYS_sendmsg, client_fd, &m, 0);) \
	TRY(receive_message, struct msghdr m = { 0 }; return syscall(SYS_recvmsg, client_fd, &m, MSG_DONTWAIT);) \
	TRY(send_messages, struct mmsghdr m = { 0 }; return syscall(SYS_sendmmsg, client_fd, &m, 1, 0);) \
	CALL(socket_option, SYS_setsockopt, client_fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int)) \
	CALL(duplicate, SYS_dup, client_fd) \
	CALL(duplicate_by_fcntl, SYS_fcntl, client_fd, F_DUPFD, 100) \
	CALL(pipe_pair, SYS_pipe2, (int[2]){ 0 }, 0) \
	CALL(event_fd, SYS_eventfd2, 0, 0) \
	CALL(terminal_input, SYS_ioctl, STDERR_FILENO, TIOCSTI, "x") \
	/* Processes */ \
	CALL(fork_by_clone, SYS_clone, SIGCHLD, 0, 0, 0, 0) \
	CALL(clone_thread, SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0) \
	CALL(clone3_process, 435 /* clone3 */, (uint64_t[11]){ 0 }, sizeof(uint64_t[11])) \
	CALL(execute, SYS_execve, "/bin/true", ((char *[]){ "true", NULL }), ((char *[]){ NULL })) \
	CALL(execute_at, SYS_execveat, AT_FDCWD, "/bin/true", ((char *[]){ "true", NULL }), ((char *[]){ NULL }), 0) \
	CALL(signal_parent, SYS_kill, getppid(), 0) \
	CALL(signal_all, SYS_kill, -1, 0) \
	CALL(signal_parents_thread, SYS_tgkill, getppid(), getppid(), 0) \
	CALL(pidfd_of_parent, 434 /* pidfd_open */, getppid(), 0) \
	CALL(trace_parent, SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0) \
	CALL(read_parents_memory, SYS_process_vm_readv, getppid(), &(struct iovec){ (char[1]){ 0 }, 1 }, 1, \
	     &(struct iovec){ (void *)4096, 1 }, 1, 0) \
	CALL(queue_signal, SYS_rt_sigqueueinfo, getppid(), 0, (char[128]){ 0 }) \
	CALL(set_priority, SYS_setpriority, PRIO_PROCESS, 0, 1) \
	CALL(set_scheduler, SYS_sched_setscheduler, 0, SCHED_OTHER, &(struct sched_param){ 0 }) \
	/* Memory */ \
	TRY(map_executable, return (long)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, \
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);) \
	TRY(make_executable, static char page[8192]; void *at = (void *)(((uintptr_t)page + 4095) & ~(uintptr_t)4095); \
	    return syscall(SYS_mprotect, at, 4096, PROT_READ | PROT_EXEC);) \
	CALL(make_executable_by_key, SYS_pkey_mprotect, 0, 4096, PROT_EXEC, -1) \
	CALL(map_file, SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED, STDERR_FILENO, 0) \
	CALL(shared_memory, SYS_shmget, 0, 4096, 0600) \
	CALL(fault_handler, SYS_userfaultfd, 0) \
	/* Privileges and rare kernel features */ \
	CALL(become_root, SYS_setresuid, 0, 0, 0) \
	CALL(become_dumpable, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) \
	CALL(take_capabilities, SYS_capset, (uint32_t[2]){ 0x20080522, 0 }, (uint32_t[6]){ 0 }) \
	CALL(new_namespace, SYS_unshare, CLONE_NEWUSER) \
	CALL(raise_limit, SYS_prlimit64, 0, RLIMIT_NOFILE, &(struct rlimit64){ 64, 64 }, NULL) \
	CALL(parents_limit, SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &(struct rlimit64){ 0, 0 }) \
	CALL(personality_change, SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */) \
	CALL(load_bpf, SYS_bpf, 0, NULL, 0) \
	CALL(io_uring, 425 /* io_uring_setup */, 1, (char[120]){ 0 }) \
	CALL(perf_event, SYS_perf_event_open, (char[128]){ 0 }, 0, -1, -1, 0) \
	CALL(key_ring, SYS_keyctl, 0, -1, 1) \
	CALL(another_filter, SYS_seccomp, 0, 0, NULL) \
	CALL(kernel_log, SYS_syslog, 3, (char[16]){ 0 }, 16)

/* Attempts for the first sandbox, in which some calls are allowed with conditions. */
#define ATTEMPTS_FIRST \
	CALL(write_etc, SYS_openat, AT_FDCWD, "/etc/proxxy-breakin", O_WRONLY | O_CREAT, 0600) \
	CALL(list_root, SYS_openat, AT_FDCWD, "/root", O_RDONLY | O_DIRECTORY) \
	CALL(list_processes, SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY) \
	CALL(open_device, SYS_openat, AT_FDCWD, "/dev/null", O_RDWR) \
	TRY(open_parents_memory, char path[64]; snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid()); \
	    return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);) \
	CALL(create_state, SYS_openat, AT_FDCWD, in_state("breakin"), O_WRONLY | O_CREAT, 0600) \
	CALL(create_state_directory, SYS_mkdirat, AT_FDCWD, in_state("breakin.d"), 0700) \
	CALL(create_set_user_id, SYS_openat, AT_FDCWD, in_state("breakin"), O_WRONLY | O_CREAT, 04755) \
	CALL(create_tmpfile_set_user_id, SYS_openat, AT_FDCWD, state_directory, O_TMPFILE | O_RDWR, 04755) \
	CALL(make_directory_set_group_id, SYS_mkdirat, AT_FDCWD, in_state("breakin.s"), 02755) \
	CALL(set_user_id, SYS_fchmod, STDERR_FILENO, 04755) \
	CALL(create_link, SYS_symlinkat, "/etc", AT_FDCWD, in_state("breakin.l")) \
	CALL(create_pipe_file, SYS_mknodat, AT_FDCWD, in_state("breakin.p"), S_IFIFO | 0600, 0) \
	CALL(link_from_etc, SYS_linkat, AT_FDCWD, "/etc/hostname", AT_FDCWD, in_state("breakin.h"), 0) \
	CALL(socket_sctp, SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP) \
	CALL(socket_ping, SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP) \
	CALL(socket_packets_in_order, SYS_socket, AF_INET6, SOCK_SEQPACKET, 0) \
	/* The kernel would send the signal when the descriptor can be read. */ \
	CALL(own_descriptor_for_parent, SYS_fcntl, client_fd, F_SETOWN, getppid()) \
	CALL(choose_descriptors_signal, SYS_fcntl, client_fd, F_SETSIG, SIGKILL) \
	TRY(map_shared_executable, long fd = syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); \
	    return (long)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);) \
	CALL(socket_netfilter, SYS_socket, AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */) \
	CALL(socket_crypto, SYS_socket, AF_ALG, SOCK_SEQPACKET, 0) \
	CALL(socket_bluetooth, SYS_socket, AF_BLUETOOTH, SOCK_SEQPACKET, 0) \
	TRY(connect_abstract, struct sockaddr_un a = abstract(); \
	    return syscall(SYS_connect, syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0), &a, sizeof(a));)

/* System calls of other ABIs, which a filter for one ABI might miss, and multiplexed system
 * calls. */
#ifdef __x86_64__
#define ATTEMPTS_ABI \
	CALL(x32_call, 0x40000000 + SYS_getpid) \
	TRY(i386_call, long rc; __asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L /* getpid */) : "memory"); return rc;)
#elif defined(__i386__)
#define ATTEMPTS_ABI \
	TRY(socketcall_socket, return syscall(SYS_socketcall, 1, ((long[3]){ AF_INET, SOCK_STREAM, 0 }), 0, 0, 0, 0);) \
	TRY(socketcall_connect, struct sockaddr_in a = elsewhere(); \
	    return syscall(SYS_socketcall, 3, ((long[3]){ upstream_fd, (long)&a, sizeof(a) }), 0, 0, 0, 0);) \
	TRY(socketcall_send_to, struct sockaddr_in a = elsewhere(); \
	    return syscall(SYS_socketcall, 11, ((long[6]){ upstream_fd, (long)"x", 1, 0, (long)&a, sizeof(a) }), 0, 0, \
			   0, 0);) \
	TRY(socketcall_option, int on = 1; \
	    return syscall(SYS_socketcall, 14, \
			   ((long[5]){ client_fd, SOL_SOCKET, SO_KEEPALIVE, (long)&on, sizeof(on) }), 0, 0, 0, 0);) \
	TRY(old_map_executable, return syscall(90 /* mmap */, \
					       ((long[6]){ 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, \
							   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 }), \
					       0, 0, MAP_ANONYMOUS);) \
	CALL(become_root_32, SYS_setresuid32, 0, 0, 0)
#else
#define ATTEMPTS_ABI
#endif

#define TRY(name, ...) \
	static long name(void) \
	{ \
		__VA_ARGS__ \
	}
#define CALL(name, ...) TRY(name, return syscall(__VA_ARGS__);)
ATTEMPTS
ATTEMPTS_FIRST
ATTEMPTS_ABI
#undef TRY
#undef CALL

static const struct {
	const char *name;
	long (*attempt)(void);
} attempts[] = {
#define TRY(name, ...) { #name, name },
#define CALL(name, ...) { #name, name },
	ATTEMPTS ATTEMPTS_FIRST ATTEMPTS_ABI
};

static void tell(const char *words)
{
	const size_t len = strlen(words);
	uint8_t frame[2 + 125] = { 0x81, (uint8_t)len };

	memcpy(frame + 2, words, len);
	if (write(client_fd, frame, 2 + len) < 0)
		_exit(1);
}

/* Makes the attempt of that name, if there is one: tells the client "done", or "stopped: " and the
 * error, and exits. */
static void try(const char *name)
{
	char words[100];

	for (size_t i = 0; name && i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		long rc;

		if (strcmp(attempts[i].name, name) != 0)
			continue;
		rc = attempts[i].attempt();
		snprintf(words, sizeof(words), rc != -1 ? "done" : "stopped: %s", strerrorname_np(errno));
		tell(words);
		_exit(0);
	}
}

int __real_sandbox_enter(void);
int __wrap_sandbox_enter(void);

int __wrap_sandbox_enter(void)
{
	const char *name = getenv("PROXXY_BREAKIN");
	struct sockaddr_storage peer;
	int rc;

	for (upstream_fd = 3; upstream_fd < 64; upstream_fd++)
		if (getpeername(upstream_fd, (struct sockaddr *)&peer, &(socklen_t){ sizeof(peer) }) == 0 &&
		    peer.ss_family == AF_INET)
			break;
	if (getenv("PROXXY_BREAKIN_OUTSIDE"))
		try(name);
	rc = __real_sandbox_enter();
	try(name);
	return rc;
}

/* --- the first sandbox ------------------------------------------------------------------------ */

int __real_sandbox_enter_first(const struct config *config);
int __wrap_sandbox_enter_first(const struct config *config);

/* Makes an attempt in a child, inside the sandbox if config is not NULL. Returns its wait status:
 * it exits with the errno of the attempt, or 0. */
static int attempt_in_child(long (*attempt)(void), const struct config *config)
{
	const pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		if (config && __real_sandbox_enter_first(config) < 0)
			_exit(255);
		_exit(attempt() != -1 ? 0 : errno);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

/* Makes the named attempts, and tells the client "NAME RESULT" of each: done, killed, or the
 * error. */
static void try_first(const char *names, const struct config *config)
{
	struct sockaddr_un address = abstract();
	const int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	upstream_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0)
		listen(listener, 100);
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const size_t len = strlen(attempts[i].name);
		const char *at = strstr(names, attempts[i].name);
		int status;

		while (at && (at[len] != ',' || (at != names && at[-1] != ',')))
			at = strstr(at + 1, attempts[i].name);
		if (!at)
			continue;
		status = attempt_in_child(attempts[i].attempt, config);
		dprintf(client_fd, "%s %s\n", attempts[i].name,
			WIFSIGNALED(status)      ? sigabbrev_np(WTERMSIG(status)) :
			WEXITSTATUS(status) == 0 ? "done" :
						   strerrorname_np(WEXITSTATUS(status)));
	}
	_exit(0);
}

int __wrap_sandbox_enter_first(const struct config *config)
{
	const char *names = getenv("PROXXY_BREAKIN_FIRST");
	const bool outside = getenv("PROXXY_BREAKIN_OUTSIDE"); /* to test that attempts succeed without a sandbox */

	state_directory = config->state_directory;
	if (names)
		try_first(names, outside ? NULL : config);
	return outside ? 0 : __real_sandbox_enter_first(config);
}
