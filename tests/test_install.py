# SPDX-License-Identifier: Apache-2.0
"""`make install` and `make uninstall` on a real systemd, and under another folder: what they install, and that
uninstall leaves a clean machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Iterator

import pytest

from conftest import ECHO, echo
from lib.activator import TREE
from lib.certs import Cert
from lib.consoles import handler_console
from lib.flow import check_echo
from lib.installed import CA_FILE, KEY, SETTINGS, SITE, deploy, install, key, wait_instances
from lib.payload import seal, target
from lib.pid1 import Machine
from lib.standin import StandIn
from lib.wire import CLOSE, Client, close_payload

PORT = 8443
# Files that an installation creates and "make uninstall" does not remove: settings, key and CA.
LEFT = {KEY, SETTINGS, SITE, CA_FILE}
# Not compared: they change when a user is added, when systemd reads units, or when this test runs commands.
NOTED = (
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/.pwd.lock",
    "/var/lib/systemd/catalog/",
    "/var/lib/proxxy/limits/",
    "/etc/ld.so.cache",
    "/var/log/",
    "/var/tmp/",
    "/etc/machine-id",
    "/var/lib/systemd/",
    "/var/lib/dpkg/",
    "/var/cache/",
    "/var/lib/private",
)
PLACES = ["/etc", "/usr", "/lib/systemd", "/var", "/opt"]


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        yield booted


def files(machine: Machine) -> set[str]:
    search = ["find", *PLACES, "-xdev", "-path", "/var/tmp", "-prune", "-o", "!", "-type", "d", "-print"]
    listed = machine.run(search, timeout=300).stdout.splitlines()
    return {
        path
        for path in listed
        if not path.startswith(NOTED) and "__pycache__" not in path and not path.startswith(str(TREE))
    }


def uninstall(machine: Machine) -> str:
    return machine.run(["make", "-C", TREE, "uninstall"], timeout=300).stdout


def is_listening() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


@pytest.mark.timeout(300)
def test_uninstall_leaves_a_clean_machine_and_sessions(machine: Machine, cert: Cert) -> None:
    before = files(machine)
    for _ in range(2):
        with StandIn(cert) as proxmox:
            proxmox.add("qemu", ECHO, handler_console(echo))
            deploy(machine, cert)
            machine.run(["systemctl", "enable", "--now", "proxxy-status.socket"])
            made = key(machine)
            # Left by an older version, which ran npm on the server.
            machine.run(["mkdir", "-p", "/usr/local/share/proxxy/console/node_modules/@xterm/xterm"])
            machine.path("/usr/local/share/proxxy/console/node_modules/@xterm/xterm/LICENSE").write_text("")
            with Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), made))) as client:
                check_echo(client)
                said = uninstall(machine)
                assert "Left in place: /etc/proxxy" in said
                assert not is_listening()
                check_echo(client)  # open sessions continue
                wait_instances(machine, 1)
                client.send_frame(CLOSE, close_payload(1000))
                assert client.close_code()[0] == 1000
            wait_instances(machine, 0)
        assert files(machine) - before == LEFT
        assert before - files(machine) == set()
        assert key(machine) == made
        shown = machine.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "proxxy*"]).stdout
        assert "failed" not in shown and "listening" not in shown
        enabled = machine.run(["systemctl", "list-unit-files", "--no-legend", "proxxy*"], check=False).stdout
        assert enabled == ""
    said = uninstall(machine)  # nothing is left to remove
    assert "Left in place" in said


def test_uninstall_with_a_socket_that_the_site_has_edited(machine: Machine) -> None:
    """Uninstall does not take a copy in /etc, as "systemctl edit --full" creates it, for another installation."""
    install(machine)
    machine.run(["cp", "/usr/local/lib/systemd/system/proxxy.socket", "/etc/systemd/system/"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "enable", "--now", "proxxy.socket"])
    assert is_listening()
    uninstall(machine)
    assert not is_listening()
    assert machine.run(["find", "/etc/systemd", "-name", "proxxy.socket", "-type", "l"]).stdout == ""


def test_uninstall_without_systemd(machine: Machine) -> None:
    """If systemd does not run, uninstall removes the links of enabled units as files."""
    install(machine)
    machine.run(["systemctl", "enable", "proxxy.socket"])
    machine.path("/etc/xinetd.d").mkdir(exist_ok=True)
    machine.path("/etc/xinetd.d/proxxy").write_text((TREE / "deploy" / "proxxy.xinetd").read_text())
    hidden = machine.run(
        ["unshare", "-m", "sh", "-c", f"mount -t tmpfs tmpfs /run/systemd && make -C {TREE} uninstall"]
    ).stdout
    assert "rm /etc/xinetd.d/proxxy" in hidden
    assert machine.run(["find", "/etc/systemd", "-name", "proxxy*"]).stdout == ""


def test_settings_and_key_are_never_touched_again(machine: Machine) -> None:
    install(machine)
    reference = machine.path("/usr/local/share/doc/proxxy/examples/proxxy.conf").read_text()
    assert machine.path(SETTINGS).read_text() == reference
    machine.path(SETTINGS).write_text("# mine\n")
    machine.run(["chmod", "750", "/etc/proxxy", "/etc/proxxy/proxxy.conf.d"])
    made = key(machine)
    install(machine)
    modes = machine.run(["stat", "-c", "%a", "/etc/proxxy", "/etc/proxxy/proxxy.conf.d"]).stdout
    assert modes == "750\n750\n"
    assert machine.path(SETTINGS).read_text() == "# mine\n" and key(machine) == made


def test_file_that_is_replaced_is_there_at_every_moment(machine: Machine) -> None:
    """Files are replaced by rename. install(1) deletes the old file first: a connection in between would find no
    service, and the socket unit would fail."""
    install(machine)
    assert machine.run(["make", "-n", "-C", TREE, "install"]).stdout.count(".new && mv -f ") > 20
    there = "[ -e /usr/local/lib/systemd/system/proxxy@.service ]"
    watch = f"i=0; while [ $i -lt 3000 ]; do {there} || echo away; i=$((i+1)); done"
    with machine.popen(["sh", "-c", watch], stdout=subprocess.PIPE) as watcher:
        install(machine)
        assert watcher.communicate(timeout=60)[0] == ""


@pytest.mark.parametrize("place", ["PREFIX", "SYSCONFDIR", "UNITDIR", "SYSUSERSDIR", "CATALOGDIR"])
@pytest.mark.parametrize("goal", ["install", "uninstall"])
@pytest.mark.parametrize("value", ["", "lib", "/a /b"])
def test_empty_place_is_refused(tmp_path: Path, place: str, goal: str, value: str) -> None:
    run = subprocess.run(
        ["make", "-C", TREE, goal, f"DESTDIR={tmp_path}/root", f"{place}={value}"], capture_output=True, text=True
    )
    assert run.returncode != 0
    assert f'{place} is "{value}". It must be one absolute path without spaces.' in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_npm_it_installs_and_says_what_lacks(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=TREE, capture_output=True, check=True
    )
    tree = tmp_path / "tree"
    for name in filter(None, listed.stdout.decode().split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TREE / name, tree / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name not in ("npm", "node"):
            (tools / tool.name).symlink_to(tool)
    environment = {"PATH": str(tools), "HOME": str(tmp_path)}

    def make(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", "-s", "-C", tree, *arguments], env=environment, capture_output=True, text=True)

    run = make("-j2", "install", f"DESTDIR={tmp_path}/root")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("The console pages are not built: console/dist/site is missing") == 1
    assert not (tmp_path / "root/usr/local/share/proxxy/console").exists()
    run = make("console")
    assert run.returncode != 0 and "npm is not installed" in run.stderr

    shutil.copytree(TREE / "console/dist", tree / "console/dist")  # as a release tarball has it
    run = make("install", f"DESTDIR={tmp_path}/root")
    assert run.returncode == 0 and "console pages" not in run.stdout
    assert (tmp_path / "root/usr/local/share/proxxy/console/novnc.html").exists()
    with (tree / "console/pages/novnc.html").open("a") as page:
        page.write("<!-- changed -->\n")
    assert "was built from other sources" in make("all").stdout


def test_release_is_reproducible_and_has_the_built_pages(tmp_path: Path) -> None:
    """The test builds releases in a clone, because a release has only committed files."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", TREE, clone], check=True)
    shutil.copytree(TREE / "console/dist", clone / "console/dist")
    sums = set()
    for _ in range(2):
        subprocess.run(["make", "-s", "-C", clone, "dist"], check=True, capture_output=True)
        [release] = (clone / "build").glob("proxxy-*.tar.gz")
        sums.add(hashlib.sha256(release.read_bytes()).hexdigest())
        release.rename(tmp_path / release.name)
    assert len(sums) == 1
    with tarfile.open(tmp_path / release.name) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / release.name.removesuffix(".tar.gz")
    for file in (TREE / "console/dist/site").iterdir():
        assert (folder / "console/dist/site" / file.name).read_bytes() == file.read_bytes()
    assert not (folder / ".git").exists()
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "npm").symlink_to("/bin/false")
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["make", "-s", "-C", folder, "console"], check=True, env=environment)


def test_release_with_pages_from_other_sources_is_refused(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", TREE, clone], check=True)
    shutil.copytree(TREE / "console/dist", clone / "console/dist")
    page = clone / "console/pages/novnc.html"
    built_from = page.read_text()
    page.write_text(f"{built_from}<!-- changed -->\n")
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a", "commit", "-qam", "Change a page"]
    subprocess.run(commit, cwd=clone, check=True)
    page.write_text(built_from)
    run = subprocess.run(["make", "-s", "-C", clone, "dist"], capture_output=True, text=True)
    assert run.returncode != 0 and "changes that are not committed" in run.stderr


def test_uninstall_takes_all_that_install_put_there(tmp_path: Any) -> None:
    # A separate build directory, so that the build under test does not change.
    places = [f"DESTDIR={tmp_path}/root", f"BUILD={tmp_path}/build", "PREFIX=/opt/proxxy"]
    subprocess.run(["make", "-s", "-j2", "-C", TREE, "install", *places], check=True, capture_output=True)
    files = {path.relative_to(tmp_path / "root") for path in (tmp_path / "root").rglob("*") if path.is_file()}
    assert len(files) > 10
    for unit in (tmp_path / "root/opt/proxxy/lib/systemd/system").glob("*@.service"):
        assert (
            "ExecStart=/opt/proxxy/sbin/proxxy-" in unit.read_text() or "/systemctl start %i.socket" in unit.read_text()
        )
    check_pages(tmp_path / "root/opt/proxxy/share/proxxy/console", places)
    subprocess.run(["make", "-s", "-C", TREE, "uninstall", *places], check=True, capture_output=True)
    left = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert left == []  # deploy/setup creates the settings' files later, on the machine


@pytest.mark.parametrize(
    "dropins, warned",
    [
        ({}, None),
        ({"a.conf": "SystemCallFilter=@system-service\n"}, None),
        ({"old.conf": "SystemCallFilter=seccomp \\\n landlock_create_ruleset landlock_restrict_self\n"}, "old.conf"),
        ({"a.conf": "SystemCallFilter=landlock_restrict_self\n#SystemCallFilter=landlock_add_rule\n"}, "a.conf"),
        ({"a.conf": "SystemCallFilter=landlock_restrict_self\n", "b": "SystemCallFilter=landlock_add_rule"}, "a.conf"),
        ({"a.conf": "SystemCallFilter=landlock_restrict_self\n", "b.conf": "SystemCallFilter=landlock_add_rule"}, None),
        ({"full-sandbox.conf": (TREE / "deploy/full-sandbox.conf").read_text()}, None),
    ],
)
def test_setup_warns_of_a_filter_that_kills_sessions(tmp_path: Path, dropins: dict[str, str], warned: str) -> None:
    """An earlier full-sandbox.conf allowed the program's sandbox, but not a call that it makes now."""
    tools = tmp_path / "bin"
    folder = tmp_path / "etc/systemd/system/proxxy@.service.d"
    for path in (tools, folder, tmp_path / "etc/proxxy"):
        path.mkdir(parents=True)
    for tool in ("systemd-sysusers", "getent", "install", "systemctl", "journalctl"):  # this machine stays as it is
        (tools / tool).symlink_to("/bin/true")
    for name in ("proxxy.conf", "signature.key"):
        (tmp_path / "etc/proxxy" / name).touch()
    for name, text in dropins.items():
        (folder / name).write_text(f"[Service]\n{text}")
    done = subprocess.run(
        [TREE / "deploy/setup", tmp_path / "etc", "/opt/proxxy/sbin/proxxy-conn"],
        env={"PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "" and ("31/SYS" in done.stderr) == (warned is not None)
    if warned:
        assert f"    {folder}/{warned}\n" in done.stderr
        new = "/opt/proxxy/share/doc/proxxy/examples/full-sandbox.conf"
        assert f"install -m 644 {new} '{folder}/' && systemctl daemon-reload\n" in done.stderr


def check_pages(place: Path, places: list[str]) -> None:
    """Installs again over the pages of an earlier version; what is not proxxy's stays."""
    earlier = ["page-vnc.AAAAAAAA.js", "page-vnc.AAAAAAAA.js.gz", "de.BBBBBBBB.js", "console.js", "xterm/xterm.js"]
    (place / "xterm").mkdir()
    for name in (*earlier, "novnc.html", "logo.svg"):
        (place / name).write_text("earlier")
    subprocess.run(["make", "-s", "-C", TREE, "install", *places], check=True, capture_output=True)
    assert not [name for name in earlier if (place / name).exists()]
    built = {path.name: path.read_bytes() for path in (TREE / "console/dist/site").iterdir()}
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {**built, "logo.svg": b"earlier"}
    assert {path.stat().st_mode & 0o777 for path in place.iterdir() if path.name != "logo.svg"} == {0o644}
    (place / "logo.svg").unlink()
