# SPDX-License-Identifier: Apache-2.0
"""What proxxy got from Proxmox for a link stays with proxxy: no client, log or relaying process has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote

import pytest
from conftest import TERMINAL
from lib.activator import Activator
from lib.certs import Cert
from lib.late import LINK, end_of, open_link, read_call
from lib.late import TOKEN as LINK_TOKEN
from lib.payload import protocols, seal_jwe, target
from lib.process import memory, wait_for
from lib.standin import StandIn
from lib.termproxy import termproxy_console
from lib.upstream import Connection, Upstream
from lib.vnc_console import VncConsole
from lib.wire import BINARY, Client

SCREEN = 100
TOKEN = "proxxy@pve!console", "5ecc1e70-0000-4000-8000-00000000abcd"


class Guests:
    """A stand-in with a VNC console that asks for a password and a terminal; it keeps what it handed out."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.handed_out: dict[str, str] = {"token": TOKEN[1]}
        vnc = VncConsole()

        def set_password(password: str) -> None:
            self.handed_out["VNC password"] = password

        standin.add("qemu", SCREEN, vnc.connect, set_password)
        standin.add("lxc", TERMINAL, termproxy_console())
        standin.access.add_token(*TOKEN)
        standin.access.allow(TOKEN[0].partition("!")[0], "/vms", "VM.Console", "VM.Audit")
        make = standin.access.vnc_ticket

        def vnc_ticket(*arguments: Any, **options: Any) -> str:
            ticket = make(*arguments, **options)
            self.handed_out["signature"] = ticket[-40:]
            return ticket

        setattr(standin.access, "vnc_ticket", vnc_ticket)


@pytest.fixture
def guests(cert: Cert) -> Iterator[Guests]:
    with StandIn(cert) as standin:
        yield Guests(standin)
        assert standin.violations == []


def begin(client: Client, members: dict[str, Any]) -> bytes:
    """Begins to use the console, as a page does. Returns all that the client got."""
    if members.get("protocol") == "term":
        client.send_frame(BINARY, b"1:80:24:")
        return client.read_data(2)
    got = client.read_data(12)
    client.send_frame(BINARY, b"RFB 003.008\n")
    got += client.read_data(2)
    client.send_frame(BINARY, b"\x01")
    got += client.read_data(4)
    client.send_frame(BINARY, b"\x01")
    return got + client.read_data(24)


@pytest.mark.parametrize("place", ["query", "subprotocol"])
@pytest.mark.parametrize("kind", ["screen", "terminal", "user's ticket"])
def test_secrets_stay_with_proxxy_and_end_with_the_login(
    settings: dict[str, Any], guests: Guests, cert: Cert, tmp_path: Path, key: str, kind: str, place: str
) -> None:
    standin = guests.standin
    (tmp_path / "dc1.conf").write_text(f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={'='.join(TOKEN)}\nCA_FILE={cert.ca}\n")
    members: dict[str, Any] = {"vmid": SCREEN, "type": "qemu", "cluster": "dc1"}
    if kind == "terminal":
        members = {"vmid": TERMINAL, "type": "lxc", "cluster": "dc1", "protocol": "term"}
    elif kind == "user's ticket":
        ticket, csrf = standin.access.cookie("root@pam"), standin.access.csrf_token("root@pam")
        members |= {"ticket": ticket, "csrf": csrf}
        guests.handed_out |= {"ticket": ticket[-40:], "csrf": csrf}
        del guests.handed_out["token"]
    with Activator(settings | {"PROXXY_CLUSTER_DIRECTORY": tmp_path}) as proxxy:
        payload = seal_jwe(members, key)
        request = (target(payload), {}) if place == "query" else ("/", {"Sec-WebSocket-Protocol": protocols(payload)})
        with Client.upgraded(proxxy.port, *request) as client:
            got = begin(client, members)
            (pid,) = wait_for(proxxy.sessions, 5, "no session")
            secrets = {
                form: text.encode()
                for name, secret in guests.handed_out.items()
                for form, text in (
                    (name, secret),
                    (f"part of {name}", secret[-16:]),
                    (f"{name} as sent", quote(secret, safe="")),
                )
            }
            secrets["key"] = bytes.fromhex(key)
            secrets["payload"] = payload[40:72].encode()
            regions = list(memory(pid))
            assert any(b"proxxy-conn" in content for _, content in regions), "the scan sees nothing"
            for name, secret in secrets.items():
                assert secret not in got, name
                places = [line.strip() for line, content in regions if secret in content]
                assert places == [], (name, places)
        log = proxxy.wait_log("Session ended")
    assert len(guests.handed_out) >= 2 + (kind != "terminal")
    assert not [name for name, secret in guests.handed_out.items() if secret in log]


@pytest.mark.parametrize("before", range(118, 160, 6))
def test_no_part_of_a_token_that_a_server_echoes_is_logged(relay: Activator, cert: Cert, key: str, before: int) -> None:
    """The log gets only the start of a long reason phrase, which may end inside the secret."""
    secret = LINK_TOKEN.partition("=")[2].partition("=")[2]

    def echo(c: Connection) -> None:
        read_call(c)
        c.respond(500, "x" * before + secret, {"Content-Length": "0"})

    with Upstream(cert, echo) as upstream:
        members = {**LINK, "host": f"127.0.0.1:{upstream.port}", "protocol": "term", "sub": f"link {before}"}
        assert end_of(open_link(relay, key, members)) == (1011, "Proxmox: 500")
    wait_for(lambda: f'sub="link {before}"' in relay.log().rpartition("Session ended")[2], 5, relay.log)
    assert "x" * before not in relay.log() and secret[:3] not in relay.log()
