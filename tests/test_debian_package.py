# SPDX-License-Identifier: Apache-2.0
"""The Debian package can be built, and on a real systemd it can be installed, used, upgraded during a session,
removed and purged."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from conftest import ECHO, echo
from lib.activator import ANYWHERE, TREE
from lib.certs import Cert
from lib.consoles import handler_console
from lib.flow import Flow, check_echo
from lib.installed import KEY, SETTINGS, SITE, install, key, show, wait_instances
from lib.payload import seal, target
from lib.pid1 import Machine
from lib.standin import StandIn
from lib.wire import Client

PORT = 8443
STATUS_PORT = 8444
SITES_OWN = f"PROXXY_CA_FILE=/var/tmp/ca.pem\nPROXXY_ALLOWED_HOSTS={ANYWHERE}\n"
VERSIONS = ["1.0.0", "99.0.0"]


def build(directory: Path, version: str) -> Path:
    """Builds the package with "make deb" in a copy of this tree, with that version."""
    source = directory / f"proxxy-{version}"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=TREE, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TREE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TREE / name, source / name)
    # The built console pages are not in git.
    if (TREE / "console" / "dist").is_dir():
        shutil.copytree(TREE / "console" / "dist", source / "console" / "dist")
    for name, prefix in (("debian/changelog", "proxxy ("), ("Makefile", "VERSION := ")):
        text = (source / name).read_text()
        (source / name).write_text(text.replace(prefix + VERSIONS[0], prefix + version))
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory)}
    run = subprocess.run(["make", "deb"], cwd=source, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    [package] = source.glob(f"build/proxxy_{version}_*.deb")
    return package


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("packages")
    return [build(directory, version) for version in VERSIONS]


@pytest.fixture(scope="module")
def machine(packages: list[Path]) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        # Container images have this rule so that packages start no service. A booted machine has no such rule.
        booted.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
        for package in packages:
            shutil.copy(package, booted.path("/root") / package.name)
        yield booted


def dpkg(machine: Machine, *arguments: str) -> str:
    """Runs dpkg. It fails if the package asks a question, because nobody answers."""
    return machine.run(["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments], timeout=120).stdout


def with_conffile(package: Path) -> Path:
    """An older version of the package, in which /etc/proxxy/proxxy.conf is a conffile of dpkg."""
    content = package.parent / "conffile"
    subprocess.run(["dpkg-deb", "-R", package, content], check=True)
    (content / "etc/proxxy").mkdir(parents=True)
    (content / "etc/proxxy/proxxy.conf").write_text("# as packaged\n")
    (content / "DEBIAN/conffiles").write_text("/etc/proxxy/proxxy.conf\n")
    control = content / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSIONS[0]}", "Version: 0.9.0"))
    old = package.parent / "old.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", content, old], check=True, capture_output=True)
    shutil.rmtree(content)
    return old


def test_lintian_has_nothing_to_say(packages: list[Path]) -> None:
    [changes] = packages[0].parent.glob(f"proxxy_{VERSIONS[0]}_*.changes")
    run = subprocess.run(
        ["lintian", "--profile", "debian", "--allow-root", "--fail-on", "error,warning", changes],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.timeout(300)
def test_install_use_upgrade_remove_purge(machine: Machine, packages: list[Path], cert: Cert) -> None:
    first, second = (f"/root/{package.name}" for package in packages)
    machine.path("/var/tmp/ca.pem").write_bytes(cert.ca.read_bytes())

    with StandIn(cert) as proxmox:
        proxmox.add("qemu", ECHO, handler_console(echo))

        def open_session() -> Client:
            return Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), key(machine))))

        dpkg(machine, "-i", first)
        assert machine.run(["stat", "-c", "%U:%G %a", KEY]).stdout == "root:proxxy 640\n"
        assert machine.run(["systemctl", "is-enabled", "proxxy.socket"]).stdout == "enabled\n"
        assert machine.run(["systemctl", "is-active", "proxxy.socket"]).stdout == "active\n"
        for example in ("grafana-dashboard.json", "prometheus-rules.yml"):  # not compressed
            installed = machine.path(f"/usr/share/doc/proxxy/examples/{example}").read_text()
            assert installed == (TREE / "deploy" / example).read_text()
        made = key(machine)
        machine.path(SITE).write_text(SITES_OWN)
        with machine.path(SETTINGS).open("a") as settings:
            settings.write("# edited\n")
        machine.run(["systemctl", "enable", "--now", "proxxy-status.socket"])

        with open_session() as before:
            with Flow(before) as flow:
                flow.check_goes_on()
                dpkg(machine, "-i", second)
                flow.check_goes_on()
            with open_session() as after:
                check_echo(after)
                old, new = sorted(wait_instances(machine, 2), key=lambda unit: int(unit.split("@")[1].split("-")[0]))
                programs = [
                    machine.run(["readlink", f"/proc/{show(machine, unit, 'MainPID')['MainPID']}/exe"]).stdout
                    for unit in (old, new)
                ]
                assert programs == ["/usr/sbin/proxxy-conn (deleted)\n", "/usr/sbin/proxxy-conn\n"]
            check_echo(before)
        wait_instances(machine, 0)
        assert machine.run(["proxxy-conn", "--version"]).stdout == "proxxy-conn 99.0.0\n"
        assert key(machine) == made
        assert machine.path(SETTINGS).read_text().endswith("# edited\n")
        assert machine.path(SITE).read_text() == SITES_OWN
        with open_session() as last:
            check_echo(last)
            dpkg(machine, "-r", "proxxy")
            check_echo(last)  # the session continues here too

        for port in (PORT, STATUS_PORT):
            with pytest.raises(ConnectionRefusedError):
                Client.connect(port)
        assert key(machine) == made
        dpkg(machine, "-i", second)
        with open_session() as again:
            check_echo(again)
        wait_instances(machine, 0)

    failed = machine.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).stdout
    assert "proxxy" not in failed
    assert f"Left in place: {SITE}" in dpkg(machine, "-P", "proxxy")
    assert machine.path(SITE).read_text() == SITES_OWN
    machine.run(["rm", "-r", "/etc/proxxy/proxxy.conf.d"])
    machine.run(["rmdir", "/etc/proxxy"])  # fails if anything else is in it
    left = machine.run(["find", "/etc", "/usr", "/lib/systemd", "/run", "/var/lib/systemd", "-name", "*proxxy*"]).stdout
    assert left == ""
    assert not machine.path("/var/lib/proxxy").exists() and not machine.path("/run/proxxy-counters").exists()
    assert machine.run(["getent", "passwd", "proxxy"]).stdout.startswith("proxxy:")


@pytest.mark.parametrize("edited", [False, True], ids=["untouched", "edited"])
def test_upgrade_from_a_package_with_a_conffile(machine: Machine, packages: list[Path], edited: bool) -> None:
    shutil.copy(with_conffile(packages[0]), machine.path("/root/old.deb"))
    dpkg(machine, "-i", "/root/old.deb")
    wanted = "# as packaged\n"
    if edited:
        wanted = "PROXXY_SESSION_MAX=7\n"
        machine.path(SETTINGS).write_text(wanted)
    for package in packages:
        dpkg(machine, "-i", f"/root/{package.name}")
        assert machine.path(SETTINGS).read_text() == wanted
    assert machine.run(["find", "/etc/proxxy", "-name", "*dpkg*"]).stdout == ""
    dpkg(machine, "-P", "proxxy")
    assert not machine.path("/etc/proxxy").exists()


@pytest.mark.timeout(300)
def test_package_over_make_install_and_uninstall_of_that(machine: Machine, packages: list[Path], cert: Cert) -> None:
    """dpkg asks no question. The settings, the key and open sessions stay. The package serves new sessions."""
    machine.path("/var/tmp/ca.pem").write_bytes(cert.ca.read_bytes())
    with StandIn(cert) as proxmox:
        proxmox.add("qemu", ECHO, handler_console(echo))

        def open_session() -> Client:
            return Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), made)))

        install(machine)
        made = key(machine)
        with machine.path(SETTINGS).open("a") as settings:
            settings.write(SITES_OWN)  # older READMEs said to write settings here
        machine.run(["systemctl", "enable", "--now", "proxxy.socket", "proxxy-status.socket"])
        with open_session() as before:
            check_echo(before)
            dpkg(machine, "-i", f"/root/{packages[0].name}")
            check_echo(before)
            machine.run(["make", "-C", TREE, "uninstall"], timeout=300)
            check_echo(before)
        wait_instances(machine, 0)
        assert machine.path(SETTINGS).read_text().endswith(SITES_OWN) and key(machine) == made
        for unit in ("proxxy.socket", "proxxy-status.socket"):
            assert machine.run(["systemctl", "is-active", unit]).stdout == "active\n"
            assert machine.run(["systemctl", "is-enabled", unit]).stdout == "enabled\n"
            assert not show(machine, unit, "FragmentPath")["FragmentPath"].startswith("/usr/local")
        dangling = machine.run(["find", "-L", "/etc/systemd/system", "-type", "l", "-name", "proxxy*"]).stdout
        assert dangling == ""
        assert machine.run(["journalctl", "--list-catalog", "44986482028040d1a59ea29db9241df0"]).stdout != ""
        with open_session() as after:
            check_echo(after)
            [unit] = wait_instances(machine, 1)
            pid = show(machine, unit, "MainPID")["MainPID"]
            assert machine.run(["readlink", f"/proc/{pid}/exe"]).stdout == "/usr/sbin/proxxy-conn\n"
        wait_instances(machine, 0)
        dpkg(machine, "-i", f"/root/{packages[1].name}")
        assert machine.path(SETTINGS).read_text().endswith(SITES_OWN)
        refused = machine.run(["make", "-C", TREE, "uninstall", "PREFIX=/usr"], check=False)
        assert refused.returncode != 0 and "belongs to the package" in refused.stderr
        assert machine.run(["proxxy-conn", "--version"]).stdout == "proxxy-conn 99.0.0\n"
    dpkg(machine, "-P", "proxxy")
