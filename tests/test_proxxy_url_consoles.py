# SPDX-License-Identifier: Apache-2.0
"""proxxy-url makes a URL for a guest. The URL opens the console through proxxy."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, urlsplit

import pytest

from conftest import ECHO, NAMED, TERMINAL
from lib.activator import Activator
from lib.standin import DEFAULT_USERS
from lib.url_command import UrlCommand, fragment
from lib.url_pages import EX_UNAVAILABLE, GUEST, NAMED_KEY, ORIGIN, open_page
from lib.wire import BINARY

pytest_plugins = "lib.url_pages"


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
    """A container's vncproxy has no generate-password: the password is the ticket's first 8 characters, RFB's limit."""
    url = command.ok(*GUEST, ECHO, "--type", "lxc")
    assert len(fragment(url)["password"]) == 8
    with open_page(relay, url) as client:
        client.send_frame(BINARY, b"hello")
        assert client.read_data(5) == b"hello"


def test_terminal(command: UrlCommand, relay: Activator) -> None:
    """termproxy refuses "websocket", and its answer has no certificate. The first message is user and ticket."""
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
    """proxxy-url puts the CAs that it trusts into the payload."""
    with Activator({"SIGNATURE_KEY": key}) as bare:
        with open_page(bare, command.ok(*GUEST, NAMED)) as client:
            assert client.read_data(11) == b"this is 101"
