# SPDX-License-Identifier: Apache-2.0
"""A temporary machine (container) with a real systemd as PID 1, booted from this machine's own root.

Its root is an overlay over / whose upper layer is a tmpfs, so every change inside, including changes to this tree, is
discarded at the end. It has its own mount and PID namespaces, which end with the process that made them: however a test
ends, no process and no mount is left. The only network is loopback. Needs root, systemd-container and a kernel with
overlayfs.

    with Machine() as machine, machine.network():
        machine.run(["systemctl", "start", "proxxy.socket"])
        socket.create_connection(("127.0.0.1", 8443))
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
CGROUP_MOUNT = pathlib.Path("/sys/fs/cgroup")
BOOT_TIMEOUT = 60  # seconds; half a second on an idle machine
STOP_TIMEOUT = 30  # seconds; a unit that does not stop has its own TimeoutStopSec=

# Arguments: a directory to work in, the tree, the machine's name, the root to cover, "v2" to boot with cgroup v2, then
# cgroups to join.
BOOT = r"""
set -eu
work=$1 tree=$2 name=$3 root=$4 version=$5
shift 5
for cgroup; do
    echo 0 > "$cgroup/cgroup.procs"
done
if [ "$version" = v2 ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs "$work"
overlay() { # what it covers, where it is seen
    mkdir "$2" "$2.upper" "$2.work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2.upper,workdir=$2.work" "$2"
}
overlay "$root" "$work/root"
# The tree has one of its own: it may be on another file system, or under /tmp, where the
# machine has one of its own.
overlay "$tree" "$work/tree"
cd "$work/root"
# Nothing that this machine has enabled runs there.
rm -rf etc/systemd/system/*.wants etc/rc?.d/S* etc/fstab
rm -rf var/log/journal
: > etc/machine-id
exec systemd-nspawn --quiet --boot --directory="$work/root" --machine="$name" \
    --register=no --keep-unit --private-network --console=pipe \
    --resolv-conf=off --timezone=off --link-journal=no --bind="$work/tree:$tree"
"""


def _hierarchies():
    """The roots of the cgroup hierarchies: one with cgroup v2, several with v1."""
    if (CGROUP_MOUNT / "cgroup.procs").exists():
        return [CGROUP_MOUNT]
    return sorted({procs.parent.resolve() for procs in CGROUP_MOUNT.glob("*/cgroup.procs")})


def _make_cgroup(hierarchy, name):
    cgroup = hierarchy / name
    cgroup.mkdir()
    # In cgroup v1's cpuset, a new cgroup accepts no process before these are set.
    for setting in ("cpuset.cpus", "cpuset.mems"):
        if (hierarchy / setting).exists() and not (cgroup / "cgroup.controllers").exists():
            (cgroup / setting).write_text((hierarchy / setting).read_text())
    return cgroup


def _remove_cgroup(cgroup):
    deepest_first = [pathlib.Path(found) for found, _, _ in os.walk(cgroup, topdown=False)]
    for directory in deepest_first:
        for _ in range(50):
            try:
                directory.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:  # the last process in it has not been reaped yet
                time.sleep(0.1)


def _children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns() comes with Python 3.12
    if libc.setns(namespace.fileno(), 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _exits_with_parent(argv):
    """Returns argv changed so that the process is killed when its parent ends."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *argv]


class Process(subprocess.Popen):
    """A process inside the machine. An nsenter outside starts it and waits for it."""

    def send_signal(self, signum):
        # Signal the process itself. If nsenter were killed, its orphaned child would become a
        # zombie, and the machine could not shut down until the host's PID 1 reaps it.
        if self.poll() is None:
            os.kill((_children(self.pid) or [self.pid])[0], signum)


class Machine:
    """A context manager; see the module's text. With the root folder of another system, that one boots (debootstrap);
    newer versions of systemd do so with cgroup v2 only."""

    def __init__(self, root="/", cgroup2=False):
        self._root, self._version = root, "v2" if cgroup2 else "as the host"
        self.name = f"proxxy-test-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self.leader = None  # pid of the machine's PID 1 on the host
        self._unshare = None
        self._work = None
        self._console = None
        self._cgroups = []

    def __enter__(self):
        try:
            self._boot()
        except BaseException:
            self._tear_down()
            raise
        return self

    def __exit__(self, *_):
        self._tear_down()

    # For tests.

    def popen(self, argv, **options):
        """Start argv inside; returns a process that can be signalled as if it ran on the host."""
        options.setdefault("text", True)
        return Process(self._inside(argv), **options)

    def run(self, argv, check=True, timeout=60, input=None):
        """Run argv inside to its end, with its output captured as text."""
        with self.popen(
            argv, stdin=subprocess.PIPE if input else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException:
                process.kill()
                raise
        if check and process.returncode != 0:
            raise AssertionError(f"{argv} in the machine: exit status {process.returncode}\n" f"{out}{err}")
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def path(self, inside):
        """Returns the host's path of a file in the machine (absolute symlinks in it do not work)."""
        return pathlib.Path(f"/proc/{self.leader}/root") / str(inside).lstrip("/")

    def journal(self, *matches):
        """Returns the journal's records that match, oldest first, each a dict of its fields."""
        self.run(["journalctl", "--sync"])
        lines = self.run(["journalctl", "--output=json", "--all", *matches]).stdout
        return [json.loads(line) for line in lines.splitlines()]

    @contextlib.contextmanager
    def network(self):
        """In the with block, this thread and threads that it starts create sockets in the machine's network."""
        with open("/proc/thread-self/ns/net") as outside, open(f"/proc/{self.leader}/ns/net") as inside:
            _enter(inside)
            try:
                yield
            finally:
                _enter(outside)

    # Start and end.

    def _inside(self, argv):
        namespaces = ["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        return _exits_with_parent(
            ["nsenter", "-t", str(self.leader), *namespaces, "--", *_exits_with_parent([str(arg) for arg in argv])]
        )

    def _boot(self):
        for hierarchy in _hierarchies():
            self._cgroups.append(_make_cgroup(hierarchy, self.name))
        self._work = tempfile.mkdtemp(prefix="proxxy-test-")
        self._console = tempfile.TemporaryFile()
        argv = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--mount-proc",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            BOOT,
            "sh",
            self._work,
            TREE,
            self.name,
            self._root,
            self._version,
            *self._cgroups,
        ]
        self._unshare = subprocess.Popen(
            _exits_with_parent([str(arg) for arg in argv]),
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + BOOT_TIMEOUT
        while not self._is_up():
            if self._unshare.poll() is not None or time.monotonic() > deadline:
                self._console.seek(0)
                console = self._console.read().decode(errors="replace")
                raise RuntimeError(f"the machine did not boot:\n{console}")
            time.sleep(0.05)

    def _is_up(self):
        if self.leader is None:
            self.leader = self._find_leader()
        if self.leader is None:
            return False
        # Not --wait, which would wait for BOOT_TIMEOUT if it missed systemd's signal. The caller asks again.
        state = self.run(["systemctl", "is-system-running"], check=False, timeout=BOOT_TIMEOUT).stdout.strip()
        return state in ("running", "degraded")

    def _find_leader(self):
        """nspawn's child that is PID 1 in its namespace and runs systemd already."""
        try:
            for nspawn in _children(self._unshare.pid):
                for child in _children(nspawn):
                    status = pathlib.Path(f"/proc/{child}/status").read_text()
                    if re.match(r"Name:\t(systemd|init)\n(.*\n)*NSpid:.*\t1\n", status):
                        return child
        except OSError:  # a process that ended meanwhile
            pass
        return None

    def _tear_down(self):
        if self._unshare and self._unshare.poll() is None:
            try:
                if self.leader:
                    self.run(["systemctl", "poweroff", "--force"], check=False, timeout=STOP_TIMEOUT)
                self._unshare.wait(timeout=STOP_TIMEOUT if self.leader else 0)
            except subprocess.TimeoutExpired:
                print(f"{self.name}: killed, it would not power off", file=sys.stderr)
                self._unshare.kill()
                self._unshare.wait()
        if self._console:
            self._console.close()
        if self._work:
            os.rmdir(self._work)
        for cgroup in self._cgroups:
            _remove_cgroup(cgroup)
