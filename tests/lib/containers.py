# SPDX-License-Identifier: Apache-2.0
"""Builds images with buildah and runs them with podman, in a folder that is removed afterwards.

Images come from no registry: Debian's is made with debootstrap, and imported under the name that the Dockerfile uses.
Storage is plain folders (vfs), a build's commands run in a chroot, and a container has the host's network, no control
group of its own, and the limits of this process: so it works without a daemon, also inside a container.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Self

from .activator import TREE

PROGRAMS = ("podman", "buildah", "crun", "debootstrap")
DEBIAN = "docker.io/library/debian:13-slim"
RELEASE = "trixie"
ARCHIVE = os.environ.get("DEBIAN_ARCHIVE", "http://deb.debian.org/debian")
CACHE = TREE / "build" / "containers" / f"{RELEASE}.tar"
CACHE_SECONDS = 3 * 24 * 3600  # the archive's packages change
# What Debian's slim images leave out.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "var/log",
            "var/cache/apt", "var/lib/apt/lists", "var/cache/debconf")  # fmt: skip
# crun needs cgroup v2. Where the host mounts it beside v1, mount it alone, in a mount namespace of our own.
ENTER = """
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
exec "$@"
"""


class Unable(Exception):
    """This machine cannot build images or run containers."""


class Container:
    """A container that runs, or has ended."""

    def __init__(self, engine: "Engine", name: str) -> None:
        self._engine = engine
        self.name = name

    def logs(self) -> str:
        done = self._engine.podman("logs", self.name)
        return done.stdout + done.stderr

    def exec(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return self._engine.podman("exec", self.name, *command, check=False)

    def state(self, what: str) -> str:
        return self._engine.podman("inspect", "--format", f"{{{{.State.{what}}}}}", self.name).stdout.strip()

    def stop_command(self) -> list[str]:
        """podman stop: SIGTERM, and SIGKILL after ten seconds."""
        return self._engine.command("podman", "stop", self.name)


class Engine:
    """podman and buildah with a storage of their own, for as long as the with block lasts."""

    def __enter__(self) -> Self:
        missing = [name for name in PROGRAMS if not shutil.which(name)]
        if os.geteuid() != 0 or missing:
            raise Unable(f"needs root and {', '.join(PROGRAMS)}")
        self.folder = Path(tempfile.mkdtemp(prefix="proxxy-containers-", dir="/var/tmp"))
        return self

    def __exit__(self, *_: object) -> None:
        self.podman("rm", "--all", "--force", "--time", "0", check=False)
        shutil.rmtree(self.folder)

    def command(self, program: str, *arguments: str) -> list[str]:
        places = [f"--root={self.folder}/store", f"--runroot={self.folder}/run", "--storage-driver=vfs"]
        if program == "podman":
            places += ["--runtime=crun", "--cgroup-manager=cgroupfs", "--events-backend=none"]
        namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
        return [*namespace, program, *places, *arguments]

    def podman(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self._run("podman", *arguments, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            self.command(program, *arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600
        )
        assert done.returncode == 0 or not check, f"{program} {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done

    def import_debian(self) -> None:
        """Imports Debian under the name of its slim image. Runs it once, and builds on it once. Raises Unable if that
        fails."""
        if not CACHE.exists() or time.time() - CACHE.stat().st_mtime > CACHE_SECONDS:
            self._make_debian()
        self.podman("import", str(CACHE), DEBIAN)
        try:
            with self.run(DEBIAN, command=("true",), detach=False):
                pass
        except AssertionError as error:
            raise Unable(f"podman cannot run a container: {error}") from error
        probe = self.folder / "probe"
        probe.mkdir()
        (probe / "Dockerfile").write_text(f"FROM {DEBIAN}\nRUN apt-get update\n")
        try:
            self.build(probe / "Dockerfile", "probe", probe)
        except AssertionError as error:
            raise Unable(f"buildah cannot build an image with packages: {error}") from error

    def _make_debian(self) -> None:
        root = self.folder / "root"
        command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "debootstrap"]
        done = subprocess.run(
            [*command, "--variant=minbase", RELEASE, root, ARCHIVE], capture_output=True, text=True, timeout=600
        )
        if done.returncode != 0:
            raise Unable(f"debootstrap cannot make Debian {RELEASE}: {done.stdout[-500:]}{done.stderr[-500:]}")
        for name in LEFT_OUT:
            for path in (root / name).iterdir() if (root / name).is_dir() else ():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        # How the site reaches its archive: a proxy, or a snapshot whose date is past.
        ways = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
        kept = [line for line in ways.splitlines() if line.lower().startswith(("acquire::http", "acquire::check-"))]
        (root / "etc/apt/apt.conf.d/90site").write_text("".join(f"{line}\n" for line in kept))
        # As in Debian's image: a build needs no fsync.
        (root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        made = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
        subprocess.run(["tar", "-C", root, "-cf", made, "."], check=True)
        made.rename(CACHE)
        shutil.rmtree(root)

    def build(self, dockerfile: Path, tag: str, context: Path, target: str = "") -> str:
        """Builds an image. Returns buildah's output."""
        ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
        options = [f"--ignorefile={ignored}"] if ignored.exists() else []
        options += [f"--target={target}"] if target else []
        done = self._run(
            "buildah", "bud", "--isolation=chroot", "--format=docker", "--layers=false", "--pull-never", *options,
            f"--file={dockerfile}", f"--tag={tag}", str(context),
        )  # fmt: skip
        return done.stdout + done.stderr

    def size(self, image: str) -> int:
        """Bytes."""
        return int(self.podman("image", "inspect", "--format", "{{.Size}}", image).stdout)

    @contextmanager
    def run(
        self, image: str, *options: str, command: tuple[str, ...] = (), name: str = "", detach: bool = True
    ) -> Iterator[Container]:
        """Runs a container until the with block ends. Without detach, the container has ended when the block begins."""
        name = name or f"c{time.monotonic_ns()}"
        how = ["--network=host"] if not any(option.startswith("--network") for option in options) else []
        how += ["--cgroups=disabled", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096", "--pull=never"]
        try:
            self.podman("run", *(["--detach"] if detach else []), f"--name={name}", *how, *options, image, *command)
            yield Container(self, name)
        finally:
            self.podman("rm", "--force", "--time", "0", name, check=False)
