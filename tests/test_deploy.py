# SPDX-License-Identifier: Apache-2.0
"""The foreground program, the README's backend, and that settings are the same everywhere."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

from conftest import ECHO
from lib.activator import ANYWHERE, TREE, Activator, binary
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import free_port, spawn, stop_tree, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, Client


def settings_of_the_program() -> dict[str, str]:
    text = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.M))


def test_foreground_with_the_originals_dotenv(tmp_path: Any, key: str, cert: Cert, standin: StandIn) -> None:
    """PORT and SIGNATURE_KEY from .env, as `bun start` would have them; the rest from the environment."""
    port = free_port()
    (tmp_path / ".env").write_text(f"PORT={port}\nSIGNATURE_KEY={key}\n")
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), "PROXXY_CA_FILE": str(cert.ca)}
    environment["PROXXY_ALLOWED_HOSTS"] = ANYWHERE
    with (tmp_path / "log").open("w+") as log:
        process = spawn([TREE / "deploy" / "proxxy"], cwd=tmp_path, env=environment, stderr=log)
        try:
            wait_for(lambda: "Listening on" in (tmp_path / "log").read_text(), 5, "not listening")
            with Client.upgraded(port, target(seal(standin.console("qemu", ECHO), key))) as client:
                client.send_frame(BINARY, b"x")
                assert client.read_data(1) == b"x"
        finally:
            stop_tree(process)


def test_settings_are_the_same_in_program_readme_and_manual() -> None:
    settings = settings_of_the_program()
    readme = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", (TREE / "README.md").read_text(), re.M))
    manual = re.findall(r"^\.It Ev ([A-Z_]+)", (TREE / "man" / "proxxy.conf.5").read_text(), re.M)
    assert sorted(readme) == sorted(settings) == sorted(manual)
    for name, default in settings.items():
        assert readme[name].strip("`–") == default, name


def test_manual_pages_are_clean() -> None:
    for page in sorted((TREE / "man").iterdir()):
        run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        assert run.stdout == "" and run.returncode == 0


def test_settings_file_as_installed_is_understood(tmp_path: Any, key: str) -> None:
    """With every line's comment mark taken away, too: each default is a valid value."""
    text = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    config = tmp_path / "proxxy.conf"
    config.write_text(re.sub(r"^#(?=[A-Z_]+=)(?!SIGNATURE_KEY|PROXXY_KEY_FILE)", "", text, flags=re.M))
    with Activator(dict(line.split("=", 1) for line in config.read_text().splitlines() if line and line[0] != "#") | {"SIGNATURE_KEY": key}) as proxxy:
        with Client.connect(proxxy.port, "/api/status") as client:
            assert client.read_head().status == 200


def test_uninstall_takes_all_that_install_put_there(tmp_path: Any) -> None:
    # A build of its own: the one under test stays as it is.
    places = [f"DESTDIR={tmp_path}/root", f"BUILD={tmp_path}/build", "PREFIX=/opt/proxxy"]
    subprocess.run(["make", "-s", "-j2", "-C", TREE, "install", *places], check=True, capture_output=True)
    files = {path.relative_to(tmp_path / "root") for path in (tmp_path / "root").rglob("*") if path.is_file()}
    assert len(files) > 10
    for unit in (tmp_path / "root/opt/proxxy/lib/systemd/system").glob("*@.service"):
        assert "ExecStart=/opt/proxxy/sbin/proxxy-" in unit.read_text() or "/systemctl start %i.socket" in unit.read_text()
    subprocess.run(["make", "-s", "-C", TREE, "uninstall", *places], check=True, capture_output=True)
    left = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert left == []  # the settings' files are made by deploy/setup, on the machine itself


def test_port_of_the_foreground_is_the_last_files(tmp_path: Any, key: str) -> None:
    """As proxxy-conn reads them: the file, then its directory in byte order."""
    ports = [free_port() for _ in range(3)]
    (tmp_path / ".env").write_text(f"PORT={ports[0]}\nSIGNATURE_KEY={key}")
    folder = tmp_path / ".env.d"
    folder.mkdir()
    for name, port in (("a.conf", ports[2]), ("B.conf", ports[1]), ("c.conf~", 1), (".d.conf", 2)):
        (folder / name).write_text(f"PORT={port}")
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), "LC_ALL": "C.UTF-8"}
    with (tmp_path / "log").open("w+") as log:
        process = spawn([TREE / "deploy" / "proxxy"], cwd=tmp_path, env=environment, stderr=log)
        try:
            wait_for(lambda: "Listening on" in (tmp_path / "log").read_text(), 5, "not listening")
            with Client.connect(ports[2], "/api/status") as client:
                assert client.read_head().status == 200
        finally:
            stop_tree(process)


def test_check_says_which_files_it_read(tmp_path: Any, key: str) -> None:
    (tmp_path / "conf").write_text(f"SIGNATURE_KEY={key}\n")
    (tmp_path / "conf.d").mkdir()
    for name in ("b.conf", "a.conf", "ignored"):
        (tmp_path / "conf.d" / name).write_text("PROXXY_LOG=stderr\n")
    run = subprocess.run([binary(), "--check"], capture_output=True, text=True, env={"PROXXY_CONFIG": f"{tmp_path}/conf"})
    read = [line.rpartition(" ")[2] for line in run.stdout.splitlines() if "read from" in line]
    assert run.returncode == 0 and read == [f"{tmp_path}/conf", f"{tmp_path}/conf.d/a.conf", f"{tmp_path}/conf.d/b.conf"]
    (tmp_path / "conf.d" / "b.conf").write_text("\nPORT=x\n")
    run = subprocess.run([binary(), "--check"], capture_output=True, text=True, env={"PROXXY_CONFIG": f"{tmp_path}/conf"})
    assert run.returncode == os.EX_CONFIG and f"{tmp_path}/conf.d/b.conf line 2: PORT" in run.stderr
