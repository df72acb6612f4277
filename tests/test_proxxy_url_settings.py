# SPDX-License-Identifier: Apache-2.0
"""proxxy-url's settings and options: values that it refuses, files with secrets, and their place in the manual."""

from __future__ import annotations

import base64
import grp
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from conftest import NAMED
from lib.activator import TREE
from lib.certs import Cert
from lib.process import wait_for
from lib.standin import DEFAULT_TOKENS
from lib.url_command import UrlCommand
from lib.url_pages import EX_CONFIG, EX_NOPERM, EX_USAGE, GUEST, PAGE

pytest_plugins = "lib.url_pages"

TOKEN = DEFAULT_TOKENS["root@pam!proxxy"]


# --- files of secrets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '"{}"', "'{}'", " {} ", "\ufeff{}", "PVEAPIToken={}", "Authorization: PVEAPIToken={}",
        "authorization:PVEAPIToken={}", '"Authorization: PVEAPIToken={}"',
        "\ufeff'PVEAPIToken={}'", "{}\r",
    ],
)  # fmt: skip
def test_token_in_another_files_clothes(command: UrlCommand, text: str) -> None:
    """A token file may contain the token as a header, a shell or an editor writes it."""
    command.secret("token", text.format(f"root@pam!proxxy={TOKEN}"))
    assert command.ok(*GUEST, NAMED).startswith(PAGE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("root@pam!proxxy", "has no =SECRET after USER@REALM!NAME"),
        (TOKEN, "does not contain USER@REALM!NAME=SECRET"),
        ("root@pam=x", "does not contain USER@REALM!NAME=SECRET"),
        (f"root@pam!proxxy = {TOKEN}", "has a space or quote inside"),
        (f"root@pam!proxxy='{TOKEN}'", "has a space or quote inside"),
    ],
)
def test_token_that_is_none(command: UrlCommand, text: str, words: str) -> None:
    command.secret("token", text)
    told = command.refusal(EX_CONFIG, *GUEST, NAMED)
    assert words in told and TOKEN not in told


@pytest.mark.parametrize("setting", ["PROXXY_KEY_FILE", "PROXMOX_TOKEN_FILE"])
def test_file_that_only_a_group_may_read(command: UrlCommand, key: str, setting: str) -> None:
    """The message names the group that may read the file, and does not suggest making another key."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        theirs = UrlCommand(Path(directory), command.settings, f"root@pam!proxxy={TOKEN}", key)
        theirs.settings["PROXXY_CA_FILE"] = ""
        environment = theirs.environment()
        program = shutil.copy(command.path, directory)
        for path in Path(directory).iterdir():
            os.chmod(path, 0o755)
        group = grp.getgrnam("daemon")
        os.chown(theirs.settings[setting], 0, group.gr_gid)
        os.chmod(theirs.settings[setting], 0o640)
        done = subprocess.run(
            [program, *GUEST, str(NAMED)],
            env=environment,
            capture_output=True,
            text=True,
            user=65534,
            group=65534,
            extra_groups=[],
        )
    assert done.returncode == EX_CONFIG and "Permission denied; root and the group daemon may read it" in done.stderr
    assert "openssl rand" not in done.stderr


def test_nothing_secret_shows_while_it_runs(command: UrlCommand, cert: Cert, key: str) -> None:
    """Proxmox's refusal takes 3 s. Meanwhile the test reads the process's argv and environment. When root runs the
    tests, the process runs as another user."""
    secret = "11111111-2222-3333-4444-555555555555"
    with tempfile.TemporaryDirectory() as directory:
        theirs = UrlCommand(Path(directory), command.settings, f"root@pam!proxxy={secret}", key)
        theirs.settings["PROXXY_CA_FILE"] = theirs.secret("ca", cert.ca.read_text())
        environment = theirs.environment()
        program = shutil.copy(command.path, directory)
        user = 65534 if os.getuid() == 0 else os.getuid()
        for path in (Path(directory), *Path(directory).iterdir()):
            os.chown(path, user, -1)
        process = subprocess.Popen(
            [program, *GUEST, str(NAMED)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, user=user
        )
        time.sleep(1)
        shown = b"".join(Path("/proc", str(process.pid), name).read_bytes() for name in ("cmdline", "environ"))
        owner = os.stat(f"/proc/{process.pid}/mem").st_uid
        out, err = process.communicate(timeout=20)
    assert owner == 0  # not dumpable: even its own user cannot read its memory
    assert process.returncode == EX_NOPERM
    for text in (shown, out, err):
        assert secret.encode() not in text and key.encode() not in text


def test_key_in_the_environment_is_wiped(command: UrlCommand, key: str) -> None:
    command.settings["PROXXY_KEY_FILE"] = "/etc/proxxy/signature.key"
    command.secret("token", "root@pam!proxxy=00000000-0000-0000-0000-000000000000")
    process = subprocess.Popen(
        [command.path, *GUEST, str(NAMED)],
        env=command.environment(SIGNATURE_KEY=key),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        environ = Path("/proc", str(process.pid), "environ")
        wait_for(
            lambda: b"SIGNATURE_KEY=" in environ.read_bytes() and key.encode() not in environ.read_bytes(),
            2,
            "the key shows",
        )
    finally:
        process.communicate(timeout=20)


# --- settings and options that are refused -----------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"PROXMOX_TOKEN_FILE": "/nonexistent"}, "PROXMOX_TOKEN_FILE /nonexistent: No such file or directory"),
        ({"PROXMOX_TOKEN_FILE": "/dev/null"}, "PROXMOX_TOKEN_FILE /dev/null must contain exactly one line"),
        ({"PROXMOX_TOKEN_FILE": "/etc/hostname"}, "does not contain USER@REALM!NAME=SECRET"),
        (
            {"PROXMOX_USER": "root@pam", "PROXMOX_PASSWORD_FILE": "/nonexistent"},
            "PROXMOX_PASSWORD_FILE /nonexistent: No such file",
        ),
        ({"PROXXY_KEY_FILE": "/nonexistent"}, "no key: /nonexistent"),
        ({"PROXXY_PAGE": ""}, "PROXXY_PAGE is not set"),
        ({"PROXXY_PAGE": "panel.example.com"}, "PROXXY_PAGE has an invalid value"),
        ({"PROXXY_PAGE": "https://panel.example.com/console/novnc.html"}, "PROXXY_PAGE has an invalid value"),
        ({"PROXXY_PAGE": "https://panel.example.com/?x"}, "PROXXY_PAGE has an invalid value"),
        ({"PROXXY_WEBSOCKET": "https://panel.example.com/"}, "PROXXY_WEBSOCKET has an invalid value"),
        ({"PROXMOX_HOST": "https://pve01/"}, "PROXMOX_HOST has an invalid value"),
        ({"PROXMOX_HOST": "pve01:0"}, "PROXMOX_HOST has an invalid value"),
        ({"PROXXY_CLUSTER": "../main"}, "PROXXY_CLUSTER has an invalid value"),
        ({"PROXXY_PAYLOADS": "jwe"}, "there is no such setting"),
    ],
)  # fmt: skip
def test_settings_that_do_not_do(command: UrlCommand, settings: dict[str, str], words: str) -> None:
    command.settings.update(settings)
    assert words in command.refusal(EX_CONFIG, *GUEST, NAMED)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--vmid is missing"),
        (["--ask", "--vmid", "100"], "--ask needs --node"),
        ([*GUEST, "100", "--ask", "--cluster", "main"], "--ask and --cluster cannot be combined"),
        (["--vmid", "100", "--ask", "--host", "pve01"], "--ask and --host cannot be combined"),
        (["--vmid", "100", "--cluster", "main", "--host", "pve01"], "--cluster and --host cannot be combined"),
        (["--cluster", ".main"], "--cluster is not the name of a cluster file"),
        (["--cluster", "../main"], "--cluster is not the name of a cluster file"),
        (["--vmid", "100", "--host", "https://pve01"], "--host is not a host name or address"),
        (["--vmid", "100", "--cluster", "main", "--node", "a/b"], "--node is not a valid node name"),
        (["--vmid", "100", "--format", "cbc"], "--format cbc needs --ask and --node"),
        (["--minutes", "1441"], "--minutes must be a number of minutes from 1 to 1440"),
        (["--minutes", "0"], "--minutes must be a number of minutes"),
        (["--minutes", "5", "--lifetime", "5"], "--minutes and --lifetime: only one of them"),
        (["--sub", ""], "--sub must have 1 to 128 bytes"),
        (["--sub", "x" * 129], "--sub must have 1 to 128 bytes"),
        (["--sub", "a\nb"], "--sub must have 1 to 128 bytes, without control characters"),
        (["--sub", "a\x7f"], "--sub must have 1 to 128 bytes, without control characters"),
        (["--vmid", "100", "--open", "--json"], "--open and --json cannot be combined"),
        (["--vmid", "100", "--open", "--vnc"], "--open and --vnc cannot be combined"),
        (["--vmid", "100", "--vnc", "--term"], "cannot be combined"),
        (["--node", "pve 01", "--vmid", "100"], "--node is not a valid node name"),
        (["--node", "../..", "--vmid", "100"], "--node is not a valid node name"),
        (["--node", "pve01", "--vmid", "0"], "--vmid must be a number"),
        (["--node", "pve01", "--vmid", "100x"], "--vmid must be a number"),
        (["--type", "kvm"], "--type must be qemu or lxc"),
        (["--format", "jwt"], "--format must be jwe or cbc"),
        (["--lifetime", "86401"], "--lifetime must be a number of seconds from 1 to 86400"),
        (["--session-max", "-1"], "--session-max must be a number of seconds from"),
        (["--title", "x" * 201], "--title has more than 200 bytes"),
        ([*GUEST, "100", "--origin", "panel"], "--origin is not an origin"),
        ([*GUEST, "100", "--client", "example.com"], "--client is not an IP address or network"),
        ([*GUEST, "100", "--vnc", "--xterm"], "cannot be combined"),
        ([*GUEST, "100", "--", "-FullScreen"], "--vnc is missing"),
        ([*GUEST, "100", "--format", "cbc", "--client", "::1"], "need --format jwe: a cbc payload has no claims"),
        (["seal", *GUEST, "100"], "seal accepts only --format, --minutes, --lifetime and --once"),
        (["seal", "--client", "192.0.2.7"], "seal accepts only --format, --minutes, --lifetime and --once"),
        (["seal", "--json"], "seal accepts only --format, --minutes, --lifetime and --once"),
        (["seal", "--type", "lxc"], "seal accepts only --format, --minutes, --lifetime and --once"),
        (["seal", "--format", "cbc", "--lifetime", "5"], "need --format jwe: a cbc payload has no claims"),
        (["seal", "--format", "cbc", "--once"], "need --format jwe: a cbc payload has no claims"),
        (["seal", "--sub", "alice"], "seal accepts only --format, --minutes, --lifetime and --once"),
        (["seal", "--", "-FullScreen"], "seal accepts only --format, --minutes, --lifetime and --once"),
        (["open", "--format", "jwe"], "open accepts only --json"),
        (["--lifetime", "5", "keygen"], "keygen accepts no options"),
        ([*GUEST, "100", "--format", "cbc", "--lifetime", "5"], "need --format jwe: a cbc payload has no claims"),
        ([*GUEST, "100", "--vnc", "--origin", "https://panel.example.com"], "a viewer sends no Origin"),
        ([*GUEST, "100", "--origin", "https://*.example.com"], "--origin is not an origin"),
        (["unseal"], "unseal: no such command"),
        (["open", "file"], "open takes no argument: it reads standard input"),
        (["keygen", "a", "b"], "b: unexpected argument"),
        (["keygen", "ä"], "a key's name must be"),
    ],
)
def test_arguments_that_do_not_do(command: UrlCommand, arguments: list[str], words: str) -> None:
    assert words in command.refusal(EX_USAGE, *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--insecure"], "--insecure: no such option"),
        (["-k"], "-k: no such option"),
        (["--vmid"], "--vmid needs a value"),
        (["--json=yes"], "--json=yes: no such option"),
    ],
)
def test_option_that_there_is_not(command: UrlCommand, arguments: list[str], words: str) -> None:
    assert command.refusal(EX_USAGE, *arguments) == f"{words}; see --help"


# --- documentation ----------------------------------------------------------------------------


MANUAL = (TREE / "man" / "proxxy-url.1").read_text()


def test_settings_are_the_same_in_program_and_manual(command: UrlCommand) -> None:
    settings = set(re.findall(r"^#([A-Z_]+)=.*$", command.ok("--settings"), re.M))
    section = MANUAL.partition("\n.Sh SETTINGS\n")[2].partition("\n.Sh ")[0]
    items = re.findall(r"^\.It Ev (.*)$", section, re.M)
    assert settings == {name for item in items for name in item.split(" , ")}
    assert settings <= set(re.findall(r"[A-Z_]+", command.ok("--help")))


def test_options_are_the_same_in_program_and_manual(command: UrlCommand) -> None:
    options = set(re.findall(r"--([a-z-]+)", command.ok("--help")))
    items = re.findall(r"^\.It (Fl .*)$", MANUAL, re.M)
    manual = {name for item in items for name in re.findall(r"Fl -([a-z-]+)", item)}
    assert options == manual


def test_help_fits_on_a_screen(command: UrlCommand) -> None:
    lines = command.ok("--help").splitlines()
    assert len(lines) <= 32 and all(len(line) <= 100 for line in lines)
    assert command.ok("--version").startswith("proxxy-url ")


def test_settings_file_is_understood(command: UrlCommand) -> None:
    """The file is valid after every comment mark is removed: each default is a valid value."""
    text = re.sub(r"^#(?=[A-Z_]+=)", "", command.ok("--settings"), flags=re.M)
    config = command.directory / "all.conf"
    config.write_text(text)
    assert "no key" in command.refusal(EX_CONFIG, "seal", input="{}", PROXXY_URL_CONFIG=config)


def test_settings_of_the_directory_beside_the_file(command: UrlCommand) -> None:
    """The last file's key seals. The error about a wrong setting names its file."""
    folder = command.directory / "url.conf.d"
    folder.mkdir()
    other = "ab" * 32
    (folder / "20.conf").write_text(f"PROXXY_KEY_FILE={command.secret('other', f'new:{other}')}\n")
    (folder / "10.conf").write_text("PROXXY_KEY_FILE=/nonexistent\n")
    guest = {"vmid": 100, "type": "qemu", "host": "pve01", "node": "pve01"}
    tickets = {"ticket": "PVEAPIToken=a@pve!b=c", "vncticket": "PVEVNC:a", "port": "5900"}
    details = json.dumps({**guest, **tickets})
    payload = command.ok("seal", input=details)
    header = json.loads(base64.urlsafe_b64decode(payload.split(".")[0] + "=="))
    assert header["kid"] == "new"
    (folder / "30.conf").write_text("\nPROXXY_PAGE=ftp://a\n")
    assert f"{folder}/30.conf line 2: PROXXY_PAGE" in command.refusal(EX_CONFIG, "seal", input=details)
