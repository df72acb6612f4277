# SPDX-License-Identifier: Apache-2.0
"""tests/install-packages, without a network: this machine's apt, with separate lists and a separate database."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from lib.account import Account, unused_account
from lib.activator import TREE

SECONDS = 60.0
HELD_SECONDS = 3.0
SCRIPT = TREE / "tests" / "install-packages"
NO_PERMISSION = 77  # EX_NOPERM of sysexits.h
TOOLS = ("sh", "id", "dirname", "basename", "grep", "sed", "mktemp", "rm", "sleep", "cat", "head", "chmod", "env")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="runs as root and as others")


class Machine:
    """A folder with a separate apt configuration, whose only package is "make", and a PATH without sudo."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bin = directory / "bin"
        self.bin.mkdir()
        for tool in (*TOOLS, "apt-get", "apt-cache"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self.stub("dpkg", "exit 0")  # apt's last step
        self.stub("dpkg-query", "exit 1")  # nothing is installed
        for folder in ("state/lists/partial", "cache/archives/partial", "dpkg", "repository", "etc", "log"):
            (directory / folder).mkdir(parents=True)
        (directory / "dpkg" / "status").touch()
        (directory / "etc" / "sources.list").write_text(f"deb [trusted=yes] file:{directory}/repository ./\n")
        self._make_repository()
        self.config = directory / "apt.conf"
        architecture = output_of("dpkg", "--print-architecture").strip()
        self.config.write_text(
            f'Dir::State "{directory}/state"; Dir::State::status "{directory}/dpkg/status";\n'
            f'Dir::Cache "{directory}/cache"; Dir::Log "{directory}/log"; Dir::Bin::dpkg "{self.bin}/dpkg";\n'
            f'Dir::Etc::sourcelist "{directory}/etc/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::parts "-";\n'
            f'Dir::Etc::preferencesparts "-"; APT::Sandbox::User "root";\n'
            f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
            "#clear DPkg::Pre-Install-Pkgs; #clear DPkg::Post-Invoke; #clear APT::Update::Post-Invoke;\n"
            "#clear APT::Update::Post-Invoke-Success;\n"
        )

    def stub(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def _make_repository(self) -> None:
        source, repository = self.directory / "source", self.directory / "repository"
        (source / "DEBIAN").mkdir(parents=True)
        control = "Package: make\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n"
        (source / "DEBIAN" / "control").write_text(control)
        subprocess.run(["dpkg-deb", "--build", source, repository / "make.deb"], check=True, capture_output=True)
        size = (repository / "make.deb").stat().st_size
        digest = output_of("sha256sum", repository / "make.deb").split()[0]
        (repository / "Packages").write_text(f"{control}Filename: ./make.deb\nSize: {size}\nSHA256: {digest}\n")

    def command(self, *groups: str) -> dict[str, Any]:
        environment = {"PATH": str(self.bin), "APT_CONFIG": str(self.config)}
        return {"args": [str(SCRIPT), *groups], "env": environment, "text": True}

    def run(self, *groups: str, prefix: tuple[str, ...] = (), script: Path = SCRIPT) -> subprocess.CompletedProcess:
        options = self.command(*groups)
        options["args"] = [*prefix, str(script), *groups]
        return subprocess.run(**options, capture_output=True, timeout=SECONDS, cwd="/")


def output_of(*argv: object) -> str:
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="proxxy-test-apt-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Machine(Path(name))


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """This process holds the lock, as another apt or dpkg would: with fcntl(2)."""
    with path.open("wb") as file:
        fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        yield


def test_installs_what_there_is_and_names_the_rest(machine: Machine) -> None:
    done = machine.run("build")
    assert done.returncode == 0, done
    assert "Installing make\n" in done.stdout
    [line] = [line for line in done.stderr.splitlines() if "this release has no package" in line]
    assert " gcc " in line and " libc6-dev " in line and not re.search(r"\bmake\b", line)


@pytest.mark.parametrize("lock", ["state/lists/lock", "dpkg/lock-frontend", "dpkg/lock", "cache/archives/lock"])
def test_waits_for_another_package_manager(machine: Machine, lock: str) -> None:
    start = time.monotonic()
    with held(machine.directory / lock):
        running = subprocess.Popen(**machine.command("build"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
        time.sleep(HELD_SECONDS)
        assert running.poll() is None
    out, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 0, errors
    assert "Installing make\n" in out
    assert time.monotonic() - start >= HELD_SECONDS
    [line] = [line for line in errors.splitlines() if "Could not get lock" in line]
    assert line.startswith("install-packages: another package manager is running; waiting up to 600 s. ")
    assert f"It is held by process {os.getpid()} (" in line


def test_gives_up_in_the_end(machine: Machine) -> None:
    impatient = machine.directory / "install-packages"
    impatient.write_text(re.sub(r"^LOCK_SECONDS=\d+", "LOCK_SECONDS=2", SCRIPT.read_text(), flags=re.M))
    impatient.chmod(0o755)
    with held(machine.directory / "state/lists/lock"):
        done = machine.run("build", script=impatient)
    assert done.returncode == 75
    assert "gave up after 2 s. Could not get lock" in done.stderr


def test_other_failures_are_not_waited_for(machine: Machine) -> None:
    machine.stub("dpkg", "exit 1")
    done = machine.run("build")
    assert done.returncode == 1 and "dpkg" in done.stderr


@pytest.fixture
def user() -> Account:
    account = unused_account()
    assert account
    return account


def copied(directory: Path, script: str) -> Path:
    """Copies the script, because other users may have no access to the tree."""
    folder = directory / "a tree" / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(TREE / "tests" / script, folder / script)
    return folder / script


def as_user(machine: Machine, user: Account) -> tuple[str, ...]:
    (machine.bin / "setpriv").symlink_to(shutil.which("setpriv") or "setpriv")
    return tuple(user.prefix())


def test_without_sudo_says_what_root_must_run(machine: Machine, user: Account) -> None:
    script = copied(machine.directory, "install-packages")
    done = machine.run("build", prefix=as_user(machine, user), script=script)
    assert (done.returncode, done.stdout) == (NO_PERMISSION, "")
    [line] = done.stderr.splitlines()
    assert line.endswith(f"""Run this as root once, then start again: su -c '"{script}" build'""")
    # Run as root what su would run.
    command = ["sh", "-c", f"sh -c {line.partition('su -c ')[2]}"]
    environment = machine.command()["env"]
    root = subprocess.run(command, env=environment, timeout=SECONDS, capture_output=True, text=True)
    assert root.returncode == 0 and "Installing make\n" in root.stdout


def test_with_nothing_to_install_asks_for_no_sudo(machine: Machine, user: Account) -> None:
    machine.stub("sudo", 'echo "a password is asked for" >&2; exit 1')
    machine.stub("dpkg-query", "echo install ok installed")
    script = copied(machine.directory, "install-packages")
    done = machine.run("build", "demo", prefix=as_user(machine, user), script=script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_with_only_packages_that_do_not_exist_asks_for_no_sudo(machine: Machine, user: Account) -> None:
    machine.run("build")  # downloads the lists
    machine.stub("sudo", 'echo "a password is asked for" >&2; exit 1')
    machine.stub("dpkg-query", '[ "$3" != make ] || echo install ok installed')
    for path in machine.directory.rglob("*"):
        path.chmod(path.stat().st_mode | 0o555)
    script = copied(machine.directory, "install-packages")
    done = machine.run("build", prefix=as_user(machine, user), script=script)
    assert done.returncode == 0 and "this release has no package" in done.stderr and "password" not in done.stderr


def test_with_sudo_root_runs_the_same(machine: Machine, user: Account) -> None:
    machine.stub("sudo", 'printf "%s\\n" "$@"')
    script = copied(machine.directory, "install-packages")
    done = machine.run("build", "demo", prefix=as_user(machine, user), script=script)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["--", str(script), "build", "demo"])


def test_the_whole_suite_says_the_same_without_sudo(machine: Machine, user: Account) -> None:
    script = copied(machine.directory, "run")
    done = machine.run("-k", "it's", prefix=as_user(machine, user), script=script)
    assert (done.returncode, done.stdout) == (NO_PERMISSION, "")
    [line] = done.stderr.splitlines()
    assert line.endswith(f"""su -c '"{script}"'""")


@pytest.mark.parametrize("groups", [(), ("no such group",)])
def test_wrong_use(machine: Machine, groups: tuple[str, ...]) -> None:
    done = machine.run(*groups)
    assert done.returncode == 64 and len(done.stderr.splitlines()) == 1
