# SPDX-License-Identifier: Apache-2.0
"""Settings: values that are refused, warnings, key rotation, and proxxy-conn --check."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator, binary
from lib.answers import ask, plain_request
from lib.certs import Cert
from lib.payload import seal, target
from lib.standin import StandIn
from lib.wire import BINARY, Client


@pytest.mark.parametrize("value", ["", "abc", "0" * 63, "0" * 65, "g" * 64, "0" * 62 + "zz"])
def test_bad_signature_key_is_500_and_one_clear_line(value: str, tmp_path: Any) -> None:
    with Activator(
        {"SIGNATURE_KEY": value, "PROXXY_KEY_FILE": tmp_path / "none"} if not value else {"SIGNATURE_KEY": value}
    ) as proxxy:
        status, _, body = plain_request(proxxy.port, path="/?payload=00:00")
        assert (status, body) == (500, b'{"error":"Internal server error","code":500,"issues":[]}')
        log = proxxy.wait_log("openssl rand -hex 32")
        assert log.count("Request refused") == 1
        assert not value or value not in log


def test_settings_file_may_be_the_originals_dotenv(key: str, standin: StandIn, cert: Cert) -> None:
    with Activator({"SIGNATURE_KEY": f'"{key}"', "PORT": 9000, "PROXXY_CA_FILE": cert.ca}) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"


def test_keys_rotate(cert: Cert, standin: StandIn, key: str) -> None:
    new = "ab" * 32
    with Activator({"SIGNATURE_KEY": f"2026:{new}, 2025:{key}", "PROXXY_CA_FILE": cert.ca}) as proxxy:
        for which in (new, key):
            with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), which))) as client:
                client.send_frame(BINARY, b"x")
                assert client.read_data(1) == b"x"


def test_by_hand_it_explains_itself() -> None:
    run = subprocess.run([binary()], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 64 and "proxxy-listen" in run.stderr and run.stdout == ""
    text = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 160


@pytest.mark.parametrize(
    "setting",
    ["PROXXY_ALLOWED_HOSTS=10.0.0.1/8", "PROXXY_ALLOWED_HOSTS=10.0.0.0/33", "PROXXY_ALLOWED_HOSTS=https://pve1",
     "PROXXY_ALLOWED_HOSTS=*", "PROXXY_ALLOWED_HOSTS=pve*.example.com", "PROXXY_ALLOWED_HOSTS=127.1",
     "PROXXY_ALLOWED_HOSTS=a,,b", "PROXXY_ALLOWED_ORIGINS=panel.example.com",
     "PROXXY_ALLOWED_ORIGINS=https://panel.example.com/", "PROXXY_ALLOWED_ORIGINS=*", "PROXXY_PAYLOADS=",
     "PROXXY_PAYLOADS=rsa", "PROXXY_STATE_DIRECTORY=relative"],
)  # fmt: skip
def test_settings_that_are_not_understood_are_errors(settings: dict[str, Any], key: str, setting: str) -> None:
    name, value = setting.split("=")
    with Activator(settings | {name: value}) as proxxy:
        assert ask(proxxy, seal(console(8006), key))[0] == 500
        assert f"{name} has an invalid value" in proxxy.wait_log("Request refused")


def check(tmp_path: Path, **settings: object) -> tuple[int, str]:
    """Runs proxxy-conn --check; returns its exit status and messages."""
    config = tmp_path / "proxxy.conf"
    settings = {"PROXXY_STATE_DIRECTORY": tmp_path, **settings}
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    environment = {"PROXXY_CONFIG": str(config), "PATH": os.environ["PATH"]}
    done = subprocess.run([binary(), "--check"], env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "settings, words",
    [
        ({}, ["public CA", "PROXXY_PAYLOADS=jwe"]),
        ({"PROXXY_ALLOWED_HOSTS": "*.example.com"}, ["PROXXY_PAYLOADS=jwe"]),
        ({"PROXXY_PAYLOADS": "cbc", "PROXXY_ALLOWED_HOSTS": "192.0.2.0/24"}, ["are not authenticated"]),
        ({"PROXXY_PAYLOADS": "jwe"}, []),
        ({"PROXXY_PAYLOADS": "jwe", "PROXXY_TLS_VERIFY": "off"}, ["PROXXY_TLS_VERIFY is off"]),
        ({"PROXXY_PAYLOADS": "jwe", "PROXXY_READABLE": "/srv, /usr/bin/env"}, []),
        (
            {"PROXXY_PAYLOADS": "jwe", "PROXXY_READABLE": "/no\x1b, /usr/.., /srv"},
            ["PROXXY_READABLE /no? has no effect: No such file or directory", "every file that the user proxxy"],
        ),
        (
            {"PROXXY_PAYLOADS": "jwe", "PROXXY_STATE_DIRECTORY": "/nowhere"},
            ["/nowhere cannot be used: No such file or directory. Limits are not enforced without it, and links with"],
        ),
        (
            {"PROXXY_PAYLOADS": "jwe", "PROXXY_STATE_DIRECTORY": "/nowhere", "PROXXY_MAX_PER_CLIENT": "0"}
            | {"PROXXY_MAX_PER_GUEST": "0", "PROXXY_NEW_PER_MINUTE": "0"},
            ["/nowhere cannot be used: No such file or directory. Links with a jti are refused without it"],
        ),
    ],
)
def test_check_warns_of_what_should_not_stay(
    key: str, tmp_path: Path, settings: dict[str, str], words: list[str]
) -> None:
    status, told = check(tmp_path, SIGNATURE_KEY=key, **settings)
    lines = told.splitlines()
    assert status == 0 and len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines)) and key not in told


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"SIGNATURE_KEY": "short"}, "SIGNATURE_KEY"),
        ({"PROXXY_PAYLOADS": "rot13"}, "PROXXY_PAYLOADS"),
        ({"PROXXY_CA_FILE": "/nonexistent.pem"}, "PROXXY_CA_FILE /nonexistent.pem"),
        ({"PROXXY_CA_FILE": "/dev/null"}, "PROXXY_CA_FILE /dev/null"),
    ],
)
def test_check_says_what_no_session_could_work_with(
    key: str, tmp_path: Path, settings: dict[str, str], word: str
) -> None:
    status, told = check(tmp_path, **{"SIGNATURE_KEY": key, **settings})
    assert status == 78 and word in told


def test_no_control_of_the_settings_reaches_a_terminal(key: str, tmp_path: Path) -> None:
    """--check and the log replace control characters; a path's other characters stay unchanged."""
    settings = {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": "/größe\x9b31m\x1b[0m.pem"}
    status, told = check(tmp_path, **settings)
    assert status == 78 and "/größe?31m?[0m.pem" in told
    with Activator(settings) as proxxy:
        with Client.connect(proxxy.port, target(seal(console(8006), key))) as client:
            assert client.read_head().status == 500
        assert "/größe?31m?[0m.pem" in proxxy.wait_log("Request refused")


def test_check_knows_a_ca_file_that_is_one(key: str, tmp_path: Path, cert: Cert) -> None:
    assert check(tmp_path, SIGNATURE_KEY=key, PROXXY_CA_FILE=cert.ca, PROXXY_PAYLOADS="jwe") == (0, "")


def test_settings_file_as_installed_is_understood(tmp_path: Any, key: str) -> None:
    """The file is valid after every comment mark is removed: each default is a valid value."""
    text = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    config = tmp_path / "proxxy.conf"
    config.write_text(re.sub(r"^#(?=[A-Z_]+=)(?!SIGNATURE_KEY|PROXXY_KEY_FILE)", "", text, flags=re.M))
    with Activator(
        dict(line.split("=", 1) for line in config.read_text().splitlines() if line and line[0] != "#")
        | {"SIGNATURE_KEY": key}
    ) as proxxy:
        with Client.connect(proxxy.port, "/api/status") as client:
            assert client.read_head().status == 200


def test_check_says_which_files_it_read(tmp_path: Any, key: str) -> None:
    (tmp_path / "conf").write_text(f"SIGNATURE_KEY={key}\n")
    (tmp_path / "conf.d").mkdir()
    for name in ("b.conf", "a.conf", "ignored"):
        (tmp_path / "conf.d" / name).write_text("PROXXY_LOG=stderr\n")
    run = subprocess.run(
        [binary(), "--check"], capture_output=True, text=True, env={"PROXXY_CONFIG": f"{tmp_path}/conf"}
    )
    read = [line.rpartition(" ")[2] for line in run.stdout.splitlines() if "read from" in line]
    assert run.returncode == 0 and read == [
        f"{tmp_path}/conf",
        f"{tmp_path}/conf.d/a.conf",
        f"{tmp_path}/conf.d/b.conf",
    ]
    (tmp_path / "conf.d" / "b.conf").write_text("\nPORT=x\n")
    run = subprocess.run(
        [binary(), "--check"], capture_output=True, text=True, env={"PROXXY_CONFIG": f"{tmp_path}/conf"}
    )
    assert run.returncode == os.EX_CONFIG and f"{tmp_path}/conf.d/b.conf line 2: PORT" in run.stderr
