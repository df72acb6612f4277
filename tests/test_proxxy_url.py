# SPDX-License-Identifier: Apache-2.0
"""proxxy-url: it makes a URL for a guest, which opens the console through proxxy; what it says to each of Proxmox's
answers; and how it seals and explains payloads."""

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
from typing import Any, Callable
from urllib.parse import quote, urlsplit

import pytest

from conftest import ECHO, NAMED, TERMINAL
from lib.activator import TREE, Activator
from lib.certs import Authority, Cert
from lib.payload import seal, seal_jwe, target
from lib.process import free_port, wait_for
from lib.standin import DEFAULT_TOKENS, DEFAULT_USERS, StandIn
from lib.upstream import Connection, Upstream
from lib.url_command import UrlCommand, fragment
from lib.wire import BINARY, Client

PAGE = "https://panel.example.com/console"
ORIGIN = {"Origin": "https://panel.example.com"}
NAMED_KEY = "2026-11"
EX_USAGE, EX_DATAERR, EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM, EX_CONFIG = 64, 65, 69, 76, 77, 78
GUEST = ("--node", "pve01", "--vmid")
VECTORS = json.loads((TREE / "examples" / "vectors.json").read_text())["vectors"]


@pytest.fixture
def command(tmp_path: Path, standin: StandIn, cert: Cert, key: str) -> UrlCommand:
    settings = {"PROXMOX_HOST": f"127.0.0.1:{standin.port}", "PROXXY_CA_FILE": cert.ca, "PROXXY_PAGE": PAGE}
    return UrlCommand(tmp_path, settings, standin.access.token("root@pam"), key)


def open_page(relay: Activator, url: str, headers: dict[str, str] = ORIGIN) -> Client:
    return Client.upgraded(relay.port, target(fragment(url)["payload"]), headers)


# --- consoles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key_name", ["", NAMED_KEY])
def test_url_of_a_vm_opens_its_console(command: UrlCommand, relay: Activator, key: str, key_name: str) -> None:
    command.secret("key", f"{key_name}:{key}" if key_name else key)
    url = command.ok(*GUEST, NAMED, "--title", "Web & mail #1 – 100%")
    parts = urlsplit(url)
    page = ("https", "panel.example.com", "/console/novnc.html", "")
    assert (parts.scheme, parts.netloc, parts.path, parts.query) == page
    assert set(fragment(url)) == {"payload", "password", "title"}
    assert fragment(url)["title"] == "Web & mail #1 – 100%"
    with open_page(relay, url) as client:
        assert client.read_data(11) == b"this is 101"


def test_url_is_good_for_one_console_and_one_page(command: UrlCommand, relay: Activator) -> None:
    url = command.ok(*GUEST, NAMED)
    with open_page(relay, url, {"Origin": "https://elsewhere.example"}) as client:
        assert client.close_code() == (1008, "Origin not allowed: the payload is for another origin")
    with open_page(relay, url) as client:
        assert client.read_data(11) == b"this is 101"
    with open_page(relay, url) as client:
        assert client.close_code() == (1008, "Payload was used already")
    anyone = command.ok(*GUEST, NAMED, "--origin", "")
    with open_page(relay, anyone, {}) as client:
        assert client.read_data(11) == b"this is 101"


def test_url_of_a_container(command: UrlCommand, relay: Activator) -> None:
    """Whose vncproxy knows no generate-password; the ticket is the password then, as far as RFB takes it."""
    url = command.ok(*GUEST, ECHO, "--type", "lxc")
    assert len(fragment(url)["password"]) == 8
    with open_page(relay, url) as client:
        client.send_frame(BINARY, b"hello")
        assert client.read_data(5) == b"hello"


def test_terminal(command: UrlCommand, relay: Activator) -> None:
    """termproxy answers no certificate and takes no "websocket"; its first message is user and ticket."""
    url = command.ok(*GUEST, TERMINAL, "--type", "lxc", "--xterm")
    page = fragment(url)
    assert urlsplit(url).path == "/console/xterm.html" and set(page) == {"payload", "user", "ticket"}
    assert page["user"] == "root@pam!proxxy"
    with open_page(relay, url) as client:
        client.send_frame(BINARY, f"{page['user']}:{page['ticket']}\n".encode())
        assert client.read_data(2) == b"OK"
        client.send_frame(BINARY, b"0:17:echo $((6 * 7))\r\n")
        seen = b""
        while b"42" not in seen:
            seen += client.read_frame().payload


def test_user_and_password(command: UrlCommand, relay: Activator) -> None:
    command.settings["PROXMOX_USER"] = "alice@pve"
    command.settings["PROXMOX_PASSWORD_FILE"] = command.secret("password", DEFAULT_USERS["alice@pve"])
    with open_page(relay, command.ok(*GUEST, NAMED)) as client:
        assert client.read_data(11) == b"this is 101"
    terminal = json.loads(command.ok(*GUEST, TERMINAL, "--type", "lxc", "--xterm", "--json"))
    assert terminal["user"] == "alice@pve"


def test_old_format(command: UrlCommand, relay: Activator) -> None:
    url = command.ok(*GUEST, NAMED, "--format", "cbc")
    assert re.fullmatch(r"[0-9a-f]{32}:[0-9a-f]+", fragment(url)["payload"])
    with open_page(relay, url, {}) as client:
        assert client.read_data(11) == b"this is 101"


def test_json_has_every_part(command: UrlCommand, relay: Activator) -> None:
    parts = json.loads(command.ok(*GUEST, NAMED, "--json", "--session-max", "600", "--client", "127.0.0.0/8"))
    assert set(parts) == {"url", "websocket", "payload", "node", "type", "vmid", "user", "password"}
    assert parts["websocket"] == f"wss://panel.example.com/console/ws?payload={quote(parts['payload'])}"
    assert fragment(parts["url"]) == {"payload": parts["payload"], "password": parts["password"]}
    assert (parts["node"], parts["type"], parts["vmid"], parts["user"]) == ("pve01", "qemu", NAMED, "root@pam!proxxy")
    explained = json.loads(command.ok("open", "--json", input=parts["payload"], PROXXY_ALLOWED_HOSTS="127.0.0.0/8"))
    limits = (explained["session_max"], explained["client"], explained["origin"])
    assert limits == (600, "127.0.0.0/8", ORIGIN["Origin"])
    del command.settings["PROXXY_PAGE"]
    bare = json.loads(command.ok(*GUEST, NAMED, "--json"))
    assert bare["url"] is None and bare["websocket"] is None
    command.settings["PROXXY_WEBSOCKET"] = "ws://127.0.0.1:8443/"
    assert json.loads(command.ok(*GUEST, NAMED, "--json"))["websocket"].startswith("ws://127.0.0.1:8443/?payload=")


@pytest.mark.parametrize("page", ["https://panel.example.com:443/console", "https://panel.example.com/console/"])
def test_origin_is_as_browsers_say_it(command: UrlCommand, page: str) -> None:
    command.settings["PROXXY_PAGE"] = page
    parts = json.loads(command.ok(*GUEST, NAMED, "--json"))
    assert json.loads(command.run("open", "--json", input=parts["payload"]).stdout)["origin"] == ORIGIN["Origin"]


def test_host_is_the_node_unless_told(command: UrlCommand) -> None:
    del command.settings["PROXMOX_HOST"]
    refusal = command.refusal(EX_UNAVAILABLE, "--node", "no-such-node.invalid", "--vmid", 100)
    assert refusal.startswith("no-such-node.invalid: Could not resolve host")


def test_proxxy_needs_no_settings_for_the_ca(command: UrlCommand, key: str) -> None:
    """The CAs that proxxy-url trusts are in the payload."""
    with Activator({"SIGNATURE_KEY": key}) as bare:
        with open_page(bare, command.ok(*GUEST, NAMED)) as client:
            assert client.read_data(11) == b"this is 101"


# --- what goes wrong --------------------------------------------------------------------------


def test_wrong_token(command: UrlCommand) -> None:
    command.secret("token", "root@pam!proxxy=00000000-0000-0000-0000-000000000000")
    words = command.refusal(EX_NOPERM, *GUEST, NAMED)
    hint = "Check that the token in PROXMOX_TOKEN_FILE is correct"
    assert re.match(rf"127\.0\.0\.1:\d+: 401 Authentication failed! {hint}", words)
    assert "00000000" not in words


TOKEN = DEFAULT_TOKENS["root@pam!proxxy"]


@pytest.mark.parametrize(
    "text",
    [
        '"{}"', "'{}'", " {} ", "\ufeff{}", "PVEAPIToken={}", "Authorization: PVEAPIToken={}",
        "authorization:PVEAPIToken={}", '"Authorization: PVEAPIToken={}"',
        "\ufeff'PVEAPIToken={}'", "{}\r",
    ],
)  # fmt: skip
def test_token_in_another_files_clothes(command: UrlCommand, text: str) -> None:
    """As a header, a shell or an editor has it."""
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
    """The group to be in is named, and nobody is told to make another key."""
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


def test_proxmox_that_no_longer_knows_generate_password(
    command: UrlCommand, relay: Activator, standin: StandIn
) -> None:
    standin.knows_generate_password = False
    before = len(standin.requests)
    try:
        url = command.ok(*GUEST, NAMED)
    finally:
        standin.knows_generate_password = True
    assert len(standin.requests) == before + 2 and len(fragment(url)["password"]) == 8
    with open_page(relay, url) as client:
        assert client.read_data(11) == b"this is 101"


def test_wrong_password(command: UrlCommand) -> None:
    command.settings["PROXMOX_USER"] = "alice@pve"
    command.settings["PROXMOX_PASSWORD_FILE"] = command.secret("password", "a wrong one")
    words = command.refusal(EX_NOPERM, *GUEST, NAMED)
    assert ": 401 authentication failure. Check that PROXMOX_USER" in words and "a wrong one" not in words


def test_no_permission(command: UrlCommand, standin: StandIn) -> None:
    command.secret("token", standin.access.token("auditor@pve"))  # as it stands in a header: that is understood, too
    refusal = command.refusal(EX_NOPERM, *GUEST, NAMED)
    assert ": 403 Permission check failed (/vms/101, VM.Console). The user needs a role" in refusal


def test_no_such_guest(command: UrlCommand) -> None:
    words = command.refusal(EX_UNAVAILABLE, *GUEST, 999)
    assert words.endswith(": 500 Configuration file 'nodes/pve01/qemu-server/999.conf' does not exist")


def test_parameters_that_proxmox_refuses(command: UrlCommand) -> None:
    assert ": 400 Parameter verification failed." in command.refusal(EX_UNAVAILABLE, *GUEST, 1)


def test_untrusted_certificate(command: UrlCommand, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    command.settings["PROXXY_CA_FILE"] = Authority(tmp_path / "other").ca
    words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert "its certificate is not trusted" in words and "PROXXY_CA_FILE" in words
    del command.settings["PROXXY_CA_FILE"]
    assert "its certificate is not trusted" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    command.settings["PROXXY_CA_FILE"] = tmp_path / "missing.pem"
    assert "no certificate can be read from it" in command.refusal(EX_CONFIG, *GUEST, NAMED)


def test_certificate_itself_will_do(command: UrlCommand, relay: Activator, authority: Authority, cert: Cert) -> None:
    """As proxxy sees it, which is told it in the payload; another server's does not."""
    command.settings["PROXXY_CA_FILE"] = cert.cert
    with open_page(relay, command.ok(*GUEST, NAMED)) as client:
        assert client.read_data(11) == b"this is 101"
    command.settings["PROXXY_CA_FILE"] = authority.leaf("another").cert
    assert "its certificate is not trusted" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)


def test_certificate_for_another_name(command: UrlCommand, authority: Authority) -> None:
    with StandIn(authority.leaf("elsewhere", dns=["elsewhere.example"], ips=[])) as elsewhere:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{elsewhere.port}"
        assert "its certificate is not trusted" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
        assert elsewhere.requests == []


def test_nobody_there(command: UrlCommand) -> None:
    command.settings["PROXMOX_HOST"] = f"127.0.0.1:{free_port()}"
    assert "Failed to connect" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)


@pytest.mark.parametrize("ending", [Connection.end, Connection.close_notify], ids=["TCP ends", "TLS ends"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "its answer is not from Proxmox's API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":{}}", "its answer lacks a ticket, port or user"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":[]}", "its answer is not from Proxmox's API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b" " * 99999, "its answer is longer than 16384 bytes"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            "301 Moved. This is not Proxmox's API port, which is 8006",
        ),
        (b"HTTP/1.1 500 \x1b[31mred\tand\x07loud\r\nContent-Length: 0\r\n\r\n", "500 ?[31mred?and?loud"),
        (b"HTTP/1.1 500 \xc2\x9b31m\r\nContent-Length: 0\r\n\r\n", "500 ??31m"),
        (b"HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n", ": 599"),
        (b"", "Empty reply from server\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "its answer is incomplete\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"data\":{}}", "its answer is incomplete\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"data\":{}}\r\n", "its answer is incomplete\n"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"data":{"ticket":"t","user":"u","po', "its answer is not from Proxmox's API"),
        (f"HTTP/1.1 500 no {DEFAULT_TOKENS['root@pam!proxxy']} here\r\nContent-Length: 0\r\n\r\n".encode(), ": 500\n"),
        (
            b'HTTP/1.1 200 OK\r\n\r\n{"data":{"ticket":"t","user":"u","port":"99999"}}',
            "its answer lacks a ticket, port or user",
        ),
        (
            b"HTTP/1.1 400 Parameter verification failed.\r\n\r\n"
            b'{"errors":{"vmid":"too small\\n","node":"no such node"}}',
            "400 Parameter verification failed. (vmid: too small, node: no such node)",
        ),
    ],
)  # fmt: skip
def test_strange_answers(
    command: UrlCommand, cert: Cert, answer: bytes, words: str, ending: Callable[[Connection], None]
) -> None:
    """The same sentence however the connection ends, whichever libcurl and OpenSSL there are."""

    def script(far: Connection) -> None:
        far.read_head()
        far.send(answer)
        ending(far)

    with Upstream(cert, script) as strange:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{strange.port}"
        done = command.run(*GUEST, NAMED)
    unavailable = not words.startswith("its answer") or "incomplete" in words
    assert done.returncode == (EX_UNAVAILABLE if unavailable else EX_PROTOCOL) and done.stdout == ""
    assert words in done.stderr and DEFAULT_TOKENS["root@pam!proxxy"] not in done.stderr


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_close_before_tls_leads_to_pveproxys_lists(command: UrlCommand, reset: bool) -> None:
    with Upstream(None, lambda far: far.read(0 if reset else 5)) as closing:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{closing.port}"
        words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert "ALLOW_FROM and DENY_FROM in its /etc/default/pveproxy" in words


def test_tls_alert_is_named(command: UrlCommand, cert: Cert) -> None:
    with Upstream(cert, lambda far: far.read_head()) as demanding:
        demanding.demand_certificate(cert.ca)
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{demanding.port}"
        words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert "TLS failed" in words and "certificate required" in words and "/etc/default" not in words


def test_user_with_a_second_factor(command: UrlCommand, cert: Cert) -> None:
    body = json.dumps({"data": {"ticket": "PVE:!tfa!%7B%7D:65A1B2C3::c2ln", "CSRFPreventionToken": "x"}}).encode()

    def script(far: Connection) -> None:
        far.read_head()
        far.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    command.settings["PROXMOX_USER"] = "alice@pve"
    command.settings["PROXMOX_PASSWORD_FILE"] = command.secret("password", "x")
    with Upstream(cert, script) as proxmox:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{proxmox.port}"
        assert "alice@pve has a second factor" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)


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
        ({"PROXXY_PAGE": "https://panel.example.com/?x"}, "PROXXY_PAGE has an invalid value"),
        ({"PROXXY_WEBSOCKET": "https://panel.example.com/"}, "PROXXY_WEBSOCKET has an invalid value"),
        ({"PROXMOX_HOST": "https://pve01/"}, "PROXMOX_HOST has an invalid value"),
        ({"PROXMOX_HOST": "pve01:0"}, "PROXMOX_HOST has an invalid value"),
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
        (["--vmid", "100"], "--node is missing"),
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
        (["seal", *GUEST, "100"], "seal accepts only --format and --lifetime"),
        (["seal", "--client", "192.0.2.7"], "seal accepts only --format and --lifetime"),
        (["seal", "--json"], "seal accepts only --format and --lifetime"),
        (["seal", "--type", "lxc"], "seal accepts only --format and --lifetime"),
        (["seal", "--format", "cbc", "--lifetime", "5"], "--lifetime needs --format jwe: a cbc payload has no claims"),
        (["seal", "--", "-FullScreen"], "seal accepts only --format and --lifetime"),
        (["open", "--format", "jwe"], "open accepts only --json"),
        (["--lifetime", "5", "keygen"], "keygen accepts no options"),
        ([*GUEST, "100", "--format", "cbc", "--lifetime", "5"], "need --format jwe: a cbc payload has no claims"),
        ([*GUEST, "100", "--vnc", "--origin", "https://panel.example.com"], "a viewer sends no Origin"),
        ([*GUEST, "100", "--origin", "https://*.example.com"], "--origin is not an origin"),
        (["unseal"], "unseal: no such command"),
        (["open", "file"], "file: unexpected argument"),
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


def test_nothing_secret_shows_while_it_runs(command: UrlCommand, cert: Cert, key: str) -> None:
    """A refusal takes Proxmox 3 s: time to look at the process, which is another user's when root runs the tests."""
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
    assert owner == 0  # not dumpable: what there is to see of it is not even its user's
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


# --- payloads ---------------------------------------------------------------------------------


def details(**members: Any) -> dict[str, Any]:
    return {
        "vmid": 100,
        "type": "qemu",
        "host": "pve01.example.com:8006",
        "node": "pve01",
        "ticket": "PVEAPIToken=root@pam!proxxy=6f1c5bd0",
        "vncticket": "aB3$ xyz:PVEVNC:65A1B2C3::c2ln",
        "port": 5900,
        **members,
    }


def test_keygen(command: UrlCommand) -> None:
    first, second = command.ok("keygen"), command.ok("keygen")
    assert re.fullmatch("[0-9a-f]{64}", first) and first != second
    named = command.ok("keygen", NAMED_KEY)
    assert re.fullmatch(f"{NAMED_KEY}:[0-9a-f]{{64}}", named)
    command.secret("key", f"{named},{first}")
    explained = json.loads(command.ok("open", "--json", input=command.ok("seal", input=json.dumps(details()))))
    assert explained["kid"] == NAMED_KEY and explained["accepted"]
    # The old one still opens.
    assert json.loads(command.ok("open", "--json", input=seal_jwe(details(), first)))["accepted"]


@pytest.mark.parametrize("ascii", [False, True], ids=["raw", "escaped"])
@pytest.mark.parametrize("format", ["jwe", "cbc"])
def test_sealed_is_what_opens(command: UrlCommand, format: str, ascii: bool) -> None:
    given = details(ticket='PVE:müller@pve:65A1B2C3::"é\\/😀𝠀', vncticket='%&+#=/;"\\ é')
    payload = command.ok("seal", "--format", format, input=json.dumps(given, ensure_ascii=ascii))
    explained = json.loads(command.ok("open", "--json", input=payload))
    assert {name: explained[name] for name in given} == given
    assert (explained["format"], explained["accepted"]) == (format, True)
    assert (("exp" in explained), ("jti" in explained)) == ((format == "jwe"),) * 2


def test_seal_keeps_claims_that_are_given(command: UrlCommand) -> None:
    given = details(exp=int(time.time()) + 200, jti="mine", nbf=int(time.time()) - 1)
    sealed = command.ok("seal", "--lifetime", "5", input=json.dumps(given))
    explained = json.loads(command.ok("open", "--json", input=sealed))
    assert {name: explained[name] for name in given} == given
    sealed = command.ok("seal", "--lifetime", "5", input=json.dumps(details()))
    short = json.loads(command.ok("open", "--json", input=sealed))
    assert 0 < short["exp"] - time.time() <= 5


@pytest.mark.parametrize(
    ("input", "words"),
    [
        ("", "is not one JSON object"),
        ("{", "is not one JSON object"),
        ("[1]", "is not one JSON object"),
        (json.dumps(details(more="?")).replace("?", "\t"), "is not one JSON object"),
        (json.dumps(details(more="\ud800")), "is not one JSON object"),
        ("x" * 70000, "longer than 65535 bytes"),
        (json.dumps(details(vmid=0)), "vmid is not an integer"),
        (json.dumps(details(host="pve01/x")), "host is not a host name"),
        (json.dumps(details(ticket="a\nb")), "ticket is not a string"),
        (json.dumps(details(origin="x")), "origin is not an origin"),
        (json.dumps(details(ticket="root@pam!proxxy=6f1c5bd0")), "an API token without PVEAPIToken= before it"),
        (json.dumps(details(more="x" * 14000)), "too long for a URL"),
    ],
)
def test_seal_refuses_what_proxxy_would(command: UrlCommand, input: str, words: str) -> None:
    assert words in command.refusal(EX_DATAERR, "seal", input=input)


WRAPS = [
    "{}",
    "  {}\n",
    "wss://panel/console/ws?payload={}",
    "https://panel/console/novnc.html#payload={}&password=x",
    "/a?b=c&payload={}#x",
    "payload={}",
]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("format", ["jwe", "cbc"])
def test_open_takes_a_payload_or_a_url(command: UrlCommand, key: str, wrap: str, format: str) -> None:
    payload = seal_jwe(details(), key) if format == "jwe" else seal(details(), key)
    encoded = quote(payload, safe="") if "=" in wrap else payload
    assert json.loads(command.ok("open", "--json", input=wrap.format(encoded)))["accepted"]


@pytest.mark.parametrize("arguments", [["open", "--json"], ["--json", "open"]])
@pytest.mark.parametrize("posix", [{}, {"POSIXLY_CORRECT": "1"}], ids=["gnu", "posix"])
def test_options_stand_where_they_like(
    command: UrlCommand, key: str, arguments: list[str], posix: dict[str, str]
) -> None:
    done = command.run(*arguments, input=seal_jwe(details(), key), **posix)
    assert json.loads(done.stdout)["accepted"]


def test_open_sends_a_terminal_no_controls(command: UrlCommand, key: str) -> None:
    text = command.ok("open", input=seal_jwe(details(jti="a\x9b31mb"), key))
    assert re.search(r"^jti +a\?\?31mb$", text, re.M)


@pytest.mark.parametrize("ticket", ["PVE:a\x9b31m@pve:65::x", "PVEAPIToken=a\x9b31m@pve!b=c"])
def test_tickets_send_a_terminal_no_controls(command: UrlCommand, key: str, ticket: str) -> None:
    """As text and as JSON, which still says the same."""
    payload = seal_jwe(details(ticket=ticket, vncticket="PVE:\x85\x9b"), key)
    text = command.ok("open", input=payload)
    assert "a??31m@pve" in text and not re.search("[\x7f-\x9f]", text)
    text = command.ok("open", "--json", input=payload)
    assert "\\u009b" in text and not re.search("[\x7f-\x9f]", text)
    assert (json.loads(text)["ticket"], json.loads(text)["vncticket"]) == (ticket, "PVE:\x85\x9b")


def test_open_explains_without_secrets(command: UrlCommand, key: str) -> None:
    limited = details(jti="once", origin="https://panel.example.com", client="192.0.2.0/24", session_max=600)
    payload = seal_jwe(limited, key)
    text = command.ok("open", input=payload)
    matches = [re.match(r"(\S+) +(.*)", line) for line in text.splitlines()]
    lines = {found[1]: found[2] for found in matches}
    assert lines["guest"] == "qemu 100 on node pve01, console port 5900"
    assert lines["host"] == "pve01.example.com:8006"
    assert lines["ticket"] == "PVEAPIToken=root@pam!proxxy=… (36 bytes)"
    assert lines["vncticket"] == "… (30 bytes)"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, (59|60) s ahead", lines["exp"])
    limits = (lines["jti"], lines["origin"], lines["client"], lines["session_max"])
    assert limits == ("once", "https://panel.example.com", "192.0.2.0/24", "600 s")
    assert lines["verdict"] == "proxxy accepts it now"
    assert "6f1c5bd0" not in text and "PVEVNC" not in text


@pytest.mark.parametrize(
    ("members", "environment", "words"),
    [
        ({"exp": 1700000000}, {}, "has expired"),
        ({"exp": 32503680000}, {}, "more than PROXXY_PAYLOAD_LIFETIME"),
        ({"nbf": 32503680000}, {}, "nbf is"),
        ({"vmid": 0}, {}, "vmid is not an integer"),
        ({"ticket": "root@pam!proxxy=6f1c5bd0"}, {}, "ticket is an API token without PVEAPIToken= before it"),
        ({"ticket": "PVEAuthCookie=PVE:a@b:1::c"}, {}, "ticket has a header or cookie name before it"),
        ({"host": "127.0.0.1"}, {}, "loopback"),
        ({"host": "192.0.2.1"}, {"PROXXY_ALLOWED_HOSTS": "10.0.0.0/8"}, "PROXXY_ALLOWED_HOSTS"),
        ({}, {"PROXXY_PAYLOADS": "cbc"}, "PROXXY_PAYLOADS does not accept this format"),
    ],
)  # fmt: skip
def test_open_says_why_proxxy_refuses(
    command: UrlCommand, key: str, members: dict, environment: dict, words: str
) -> None:
    done = command.run("open", input=seal_jwe(details(**members), key), **environment)
    assert done.returncode == EX_DATAERR and done.stderr == ""
    assert re.search(r"^verdict +proxxy refuses it: .*" + re.escape(words), done.stdout, re.M | re.I), done.stdout


def test_open_says_what_proxmox_will_refuse_of_the_old_format(command: UrlCommand, key: str) -> None:
    text = command.ok("open", input=seal(details(ticket="root@pam!proxxy=6f1c5bd0"), key))
    words = "proxxy accepts it now, but Proxmox will refuse it: ticket is an API token without PVEAPIToken="
    assert re.search(f"^verdict +{words}", text, re.M)
    assert "6f1c5bd0" not in text


@pytest.mark.parametrize(
    "payload", ["nonsense", "a.b.c.d.e", "", "payload=", "x?payload=%zz", "payload=x", "x" * 20000]
)
def test_open_of_what_is_no_payload(command: UrlCommand, payload: str) -> None:
    done = command.run("open", input=payload)
    assert done.returncode == EX_DATAERR
    assert "verdict" in done.stdout or "contains no payload" in done.stderr


@pytest.mark.parametrize("wrap", ["{}", "https://panel/?payload={}"])
def test_open_tells_the_mistakes_apart(command: UrlCommand, key: str, wrap: str) -> None:
    payload = seal(details(), key)
    once, twice = quote(payload, safe=""), quote(quote(payload, safe=""), safe="")
    assert "proxxy accepts it now" in command.ok("open", input=wrap.format(once))
    for text, words in {
        twice: "it is URL-encoded twice",
        quote(payload.encode().hex()): "it is hex-encoded twice",
        quote(base64.b64encode(payload.encode()).decode(), safe=""): "it is in base64, not hex",
        payload[:-1]: "it was cut off",
        seal(details(), "ab" * 32): "made with another key",
        seal_jwe(details(), "ab" * 32): "not made with our key",
    }.items():
        assert words in command.run("open", input=wrap.format(text)).stdout


def test_open_with_another_key(command: UrlCommand) -> None:
    done = command.run("open", input=seal_jwe(details(), "ab" * 32))
    assert done.returncode == EX_DATAERR and "not made with our key" in done.stdout


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vectors_of_the_examples_open(command: UrlCommand, vector: dict[str, Any]) -> None:
    """What other languages seal with is what proxxy opens with: the same text comes out."""
    kid = json.loads(vector.get("header", "{}")).get("kid")
    command.secret("key", f"{kid}:{vector['key']}" if kid else vector["key"])
    explained = json.loads(command.run("open", "--json", input=vector["payload"]).stdout)
    assert explained["format"] == vector["format"] and explained.get("kid") == kid
    for name, value in vector["claims"].items():
        if name == "host" and not re.search(r":\d+$", value):
            value += ":8006"
        if name == "fingerprint":
            value = value.replace(":", "").lower()
        assert str(explained[name]) == str(value), name


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
    manual = set(re.findall(r"^\.It Fl -([a-z-]+)", MANUAL, re.M)) | {"version"}  # on help's line
    assert options == manual


def test_help_fits_on_a_screen(command: UrlCommand) -> None:
    lines = command.ok("--help").splitlines()
    assert len(lines) <= 32 and all(len(line) <= 100 for line in lines)
    assert command.ok("--version").startswith("proxxy-url ")


def test_settings_file_is_understood(command: UrlCommand) -> None:
    """With every line's comment mark taken away, too: each default is a valid value."""
    text = re.sub(r"^#(?=[A-Z_]+=)", "", command.ok("--settings"), flags=re.M)
    config = command.directory / "all.conf"
    config.write_text(text)
    assert "no key" in command.refusal(EX_CONFIG, "seal", input="{}", PROXXY_URL_CONFIG=config)


def test_settings_of_the_directory_beside_the_file(command: UrlCommand) -> None:
    """The last file's key is the one that seals; one that is wrong is named."""
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
