# SPDX-License-Identifier: Apache-2.0
"""Payloads without a console ticket: which are accepted, whose token is used, and how links are taken back."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import console
from lib.activator import Activator, binary
from lib.answers import INVALID, ask, refusal
from lib.certs import Cert
from lib.payload import seal, seal_jwe
from lib.process import free_port

TOKEN = "proxxy@pve!console=5ecc1e70-0000-4000-8000-000000000001"
LINK = {"vmid": 100, "type": "qemu"}
USER_TICKET = "PVE:alice@pve:65A1B2C3::c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clusters")
    (directory / "dc1.conf").write_text(f"HOSTS=127.0.0.1:{free_port()}\nTOKEN={TOKEN}\n")
    (directory / "broken.conf.new").write_text("not read\n")
    return directory


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any], clusters: Path) -> Iterator[Activator]:
    with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": clusters}) as proxxy:
        yield proxxy


@pytest.mark.parametrize(
    "members, why",
    [
        ({"cluster": "dc2"}, "cluster is not the name of a cluster file of proxxy"),
        ({"cluster": "../dc1"}, "cluster is not the name of a cluster file"),
        ({"cluster": "dc1", "host": "pve01"}, "host and cluster cannot be combined"),
        ({"host": "pve01"}, "ticket is missing, and no cluster file lists host"),
        ({"host": "127.0.0.1:1"}, "ticket is missing, and no cluster file lists host"),
        ({}, "host or cluster is missing"),
        ({"cluster": "dc1", "protocol": "spice"}, "protocol is not vnc or term"),
        ({"cluster": "dc1", "ticket": USER_TICKET}, "csrf is missing: a user's ticket needs the CSRFPreventionToken"),
        ({"cluster": "dc1", "ticket": "aa@pve!b=c"}, "ticket is an API token without PVEAPIToken= before it"),
        # With a key that leaked, nobody can have the token sent to a machine with another certificate.
        ({"cluster": "dc1", "fingerprint": "ab" * 32}, "ca and fingerprint need a ticket in the payload"),
        ({"cluster": "dc1", "ca": "-----BEGIN CERTIFICATE-----\n"}, "ca and fingerprint need a ticket in the payload"),
    ],
)
def test_refused(proxxy: Activator, key: str, members: dict[str, Any], why: str) -> None:
    status, error, issues = refusal(proxxy, seal_jwe({**LINK, **members}, key))
    assert (status, error) == (400, "Invalid payload") and issues.startswith(why), issues


def test_old_format_has_no_links(proxxy: Activator, key: str) -> None:
    """It is not authenticated and does not expire."""
    assert ask(proxxy, seal({**LINK, "cluster": "dc1"}, key)) == (400, INVALID)


def test_files_that_links_and_cluster_files_name_may_be_anywhere(
    settings: dict[str, Any], key: str, cert: Cert, tmp_path: Path
) -> None:
    """The session learns their paths before it enters its first sandbox, in which it could not read them."""
    for name in ("directory", "elsewhere", "certificates"):
        (tmp_path / name).mkdir()
    ca = tmp_path / "certificates" / "ca.pem"
    ca.write_bytes(Path(cert.ca).read_bytes())
    file = tmp_path / "elsewhere" / "file"
    file.write_text(f"HOSTS=127.0.0.1:{free_port()}\nTOKEN={TOKEN}\nCA_FILE={ca}\n")
    (tmp_path / "directory" / "broken.conf").write_text("not read\n")
    (tmp_path / "directory" / "dc1.conf").symlink_to(file)
    with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": tmp_path / "directory"}) as proxxy:
        assert ask(proxxy, seal_jwe({**LINK, "cluster": "dc1"}, key))[0] == 101


@pytest.mark.parametrize(
    "text, words",
    [
        ("TOKEN=x\n", "bad.conf line 1: TOKEN has an invalid value"),
        (f"TOKEN={TOKEN}\n", "bad.conf: HOSTS is missing"),
        (None, "bad.conf: Permission denied"),
    ],
)
def test_cluster_file_that_cannot_be_used(
    settings: dict[str, Any], key: str, tmp_path: Path, text: str | None, words: str
) -> None:
    """The client gets no details of the installation; the log does."""
    file = tmp_path / "bad.conf"
    if text is None:
        file.symlink_to("/proc/1/mem" if os.geteuid() else file.with_name("bad.conf.d"))
        file.with_name("bad.conf.d").mkdir()
        words = "bad.conf: Is a directory" if not os.geteuid() else words
    else:
        file.write_text(text)
    with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": tmp_path}) as proxxy:
        for members in ({"cluster": "bad"}, {"host": "pve01"}):
            assert refusal(proxxy, seal_jwe({**LINK, **members}, key)) == (500, "Internal server error", "")
        assert words in proxxy.wait_log("outcome=config")
        assert TOKEN.partition("=")[2] not in proxxy.log()


def test_link_is_logged_with_its_user_and_cluster(proxxy: Activator, key: str) -> None:
    """Also what a user chose as a name cannot look like another field."""
    payload = seal_jwe({**LINK, "cluster": "dc1", "sub": 'Jo "x" vmid=7', "exp": int(time.time()) - 60}, key)
    assert refusal(proxxy, payload)[1] == "Payload has expired"
    line = next(line for line in proxxy.wait_log("payload-expired").splitlines() if "payload-expired" in line)
    assert " cluster=dc1 " in line and " sub=\"Jo 'x' vmid=7\" " in line and "node=" not in line


def test_links_are_taken_back(settings: dict[str, Any], clusters: Path, key: str) -> None:
    """PROXXY_NOT_BEFORE refuses what was made before: by iat, else as if it had been made as early as exp allows."""
    now = int(time.time())
    limits = {"PROXXY_NOT_BEFORE": now - 50, "PROXXY_PAYLOAD_LIFETIME": 300, "PROXXY_CLUSTER_DIRECTORY": clusters}
    link: dict[str, Any] = {**LINK, "cluster": "dc1"}
    with Activator({**settings, **limits}) as proxxy:
        for claims in ({"iat": now - 51}, {"exp": now + 249}, {"iat": now - 51, "exp": now + 299}):
            for kind in (link, console(8006)):
                status, error, issues = refusal(proxxy, seal_jwe({**kind, **claims}, key))
                assert (status, error) == (403, "Payload was withdrawn"), (claims, error)
                assert issues == "it was made before PROXXY_NOT_BEFORE"
        plain = {"Upgrade": ""}  # as a page: accepted up to the upgrade, without connecting anywhere
        for claims in ({"iat": now - 50}, {"iat": now}, {"exp": now + 251}):
            for kind in (link, {**console(8006), "host": "192.0.2.1"}):
                assert refusal(proxxy, seal_jwe({**kind, **claims}, key), plain)[0] == 426, claims


def test_host_of_a_cluster_file_needs_no_permission(settings: dict[str, Any], clusters: Path, key: str) -> None:
    """PROXXY_ALLOWED_HOSTS holds for all other hosts."""
    limits = {"PROXXY_ALLOWED_HOSTS": "pve.example.com", "PROXXY_CLUSTER_DIRECTORY": clusters}
    ticket = "PVEAPIToken=a@pve!b=c"
    plain = {"Upgrade": ""}
    with Activator({**settings, **limits}) as proxxy:
        assert refusal(proxxy, seal_jwe({**LINK, "cluster": "dc1"}, key), plain)[0] == 426
        assert refusal(proxxy, seal_jwe({**LINK, "host": "127.0.0.1:1", "ticket": ticket}, key), plain)[0] == 403
        assert refusal(proxxy, seal_jwe({**LINK, "host": "pve.example.com", "ticket": ticket}, key), plain)[0] == 426


def check(tmp_path: Path, key: str) -> tuple[int, str, str]:
    """Runs proxxy-conn --check; returns exit status, output and messages."""
    config = tmp_path / "settings"
    directories = f"PROXXY_CLUSTER_DIRECTORY={tmp_path}\nPROXXY_STATE_DIRECTORY={tmp_path}\n"
    config.write_text(f"SIGNATURE_KEY={key}\nPROXXY_PAYLOADS=jwe\n{directories}")
    environment = {"PROXXY_CONFIG": str(config), "PATH": os.environ["PATH"]}
    done = subprocess.run([binary(), "--check"], env=environment, capture_output=True, text=True)
    assert TOKEN.partition("=")[2] not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_check_reads_cluster_files(tmp_path: Path, key: str, cert: Cert) -> None:
    (tmp_path / "dc1.conf").write_text(f"HOSTS=pve01\nTOKEN={TOKEN}\nCA_FILE={cert.ca}\n")
    (tmp_path / "dc2.conf").write_text(f"HOSTS=pve02\nTOKEN={TOKEN}\n")
    (tmp_path / "dc1.conf").chmod(0o640)
    status, output, messages = check(tmp_path, key)
    assert status == 0
    assert f"cluster dc1 is read from {tmp_path}/dc1.conf\ncluster dc2 is read from {tmp_path}/dc2.conf\n" in output
    assert messages == (
        f"proxxy-conn: {tmp_path}/dc2.conf can be read by every user, and has an API token: "
        "make it root:proxxy, mode 0640\n"
    )


@pytest.mark.parametrize(
    "lines, words",
    [
        ("HOSTS=pve01\nTOKEN=x\n", "dc1.conf line 2: TOKEN has an invalid value"),
        (f"HOSTS=pve01\nTOKEN={TOKEN}\nCA_FILE=/dev/null\n", "cluster file dc1: CA_FILE /dev/null: no certificate"),
        (f"HOSTS=pve01\nTOKEN={TOKEN}\nCA_FILE=/nonexistent\n", "cluster file dc1: CA_FILE /nonexistent: no cert"),
    ],
)
def test_check_says_what_no_link_could_work_with(tmp_path: Path, key: str, lines: str, words: str) -> None:
    (tmp_path / "dc1.conf").write_text(lines)
    status, _, messages = check(tmp_path, key)
    assert status == os.EX_CONFIG and words in messages
