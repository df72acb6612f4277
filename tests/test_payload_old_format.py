# SPDX-License-Identifier: Apache-2.0
"""The old payload format (AES-CBC): its members, what Proxmox gets of them, and one answer to all invalid payloads."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator, binary
from lib.answers import INVALID, reaches, upgrade_answer
from lib.certs import Cert
from lib.payload import seal, seal_jwe, target
from lib.standin import StandIn
from lib.wire import BINARY, Client


def bad_payloads(key: str) -> dict[str, str]:
    """Returns payloads with every kind of fault that the unauthenticated format can have."""
    good = seal(console(8006), key)
    iv, cipher = good.split(":")

    def sealed(**members: Any) -> str:
        return seal(console(8006, **members), key)

    return {
        "no colon": iv + cipher,
        "bad hex": f"{iv}:{'zz' + cipher[2:]}",
        "odd hex": good + "0",
        "junk behind": good + "xx",
        "bad iv": f"{iv[:-2]}:{cipher}",
        "long iv": f"{iv}00:{cipher}",
        "empty cipher": f"{iv}:",
        "half a block": good[:-16],
        "wrong key": seal(console(8006), "00" * 32),
        "bad padding": good[:-32] + "00" * 16,
        "not JSON": seal(b"hello", key),
        "empty plaintext": seal(b"", key),
        "array": seal(b"[1]", key),
        "trailing": seal(b'{"vmid":100} x', key),
        "no members": seal(b"{}", key),
        "vmid 0": sealed(vmid=0),
        "vmid text": sealed(vmid="100"),
        "vmid fraction": sealed(vmid=100.5),
        "type": sealed(type="vm"),
        "host path": sealed(host="pve/../x"),
        "host credentials": sealed(host="user@pve"),
        "host port 0": sealed(host="pve:0"),
        "node path": sealed(node="../../access"),
        "node CRLF": sealed(node="pve\r\nX: y"),
        "ticket missing": seal(b'{"vmid":100,"type":"qemu","host":"h","node":"n","vncticket":"t","port":5900}', key),
        "ticket CRLF": sealed(ticket="PVE:x\r\nX-Injected: 1"),
        "ticket NUL": sealed(ticket="PVE:x\0"),
        "ticket number": sealed(ticket=1),
        "vncticket LF": sealed(vncticket="a\nb"),
        "port 0": sealed(port="0"),
        "port 65536": sealed(port=65536),
        "port text": sealed(port="59oo"),
        "port list": sealed(port=[5900]),
    }


def test_invalid_payload_is_one_answer_byte_for_byte(proxxy: Activator, key: str) -> None:
    answers = {}
    for name, payload in bad_payloads(key).items():
        with Client.connect(proxxy.port, target(payload)) as client:
            answers[name] = client.read_all()
    assert len(set(answers.values())) == 1, answers
    assert next(iter(answers.values())).endswith(b"\r\n\r\n" + INVALID)


def test_invalid_payload_takes_the_same_time_whatever_is_wrong(proxxy: Activator, key: str) -> None:
    """The answer is sent at a fixed time after the request. The test checks that it is not sent earlier."""
    for payload in bad_payloads(key).values():
        started = time.monotonic()
        assert upgrade_answer(proxxy.port, payload)[2] == INVALID
        assert time.monotonic() - started >= 0.05


def test_invalid_payload_is_explained_in_the_log_without_its_text(settings: dict[str, Any], key: str) -> None:
    with Activator(settings) as proxxy:
        assert upgrade_answer(proxxy.port, seal(console(8006, vmid=0, ticket="top secret"), key))[0] == 400
        log = proxxy.wait_log("vmid is not an integer from 1 to 999999999")
        assert "top secret" not in log and "payload=" not in log


def test_colon_may_be_percent_encoded_and_hex_in_capitals(proxxy: Activator, standin: StandIn, key: str) -> None:
    iv, cipher = seal(standin.console("qemu", ECHO), key).split(":")
    with Client.upgraded(proxxy.port, f"/novnc/ws?payload={iv.upper()}%3A{cipher.upper()}&x=1") as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"


def test_first_payload_counts(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal(standin.console("qemu", ECHO), key)
    Client.upgraded(proxxy.port, target(payload) + "&payload=nonsense").sock.close()
    assert upgrade_answer(proxxy.port, "nonsense&payload=" + payload)[0] == 400


def test_unknown_members_are_ignored(proxxy: Activator, standin: StandIn, key: str) -> None:
    reaches(proxxy, standin.console("qemu", ECHO) | {"note": {"deep": [1, None]}, "user": "x"}, key)


def test_port_may_be_a_number(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    reaches(proxxy, members | {"port": int(members["port"])}, key)


def test_lxc(proxxy: Activator, standin: StandIn, key: str) -> None:
    reaches(proxxy, standin.console("lxc", ECHO), key)
    assert f"/lxc/{ECHO}/vncwebsocket" in standin.requests[-1].path


def test_api_token_goes_into_authorization_as_it_is(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    reaches(proxxy, members, key)
    assert standin.requests[-1].headers["authorization"] == members["ticket"]


def test_cookie_ticket_goes_into_authorization_with_its_name(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO, cookie=True)
    reaches(proxxy, members, key)
    assert standin.requests[-1].headers["authorization"] == "PVEAuthCookie=" + members["ticket"]


def test_host_without_a_port_means_8006(key: str, cert: Cert, standin: StandIn) -> None:
    members = standin.console("qemu", ECHO)
    settings = {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca, "PROXXY_UPSTREAM_PORT": standin.port}
    with Activator(settings) as proxxy:
        reaches(proxxy, members | {"host": "127.0.0.1"}, key)
    told = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True)
    assert "\n#PROXXY_UPSTREAM_PORT=8006\n" in told.stdout


@pytest.mark.parametrize("dotted", ["127.0.0.1.", "localhost."])
def test_host_with_a_trailing_dot(proxxy: Activator, standin: StandIn, key: str, dotted: str) -> None:
    """A fully qualified name may end in a dot; names in certificates do not."""
    members = standin.console("qemu", ECHO)
    reaches(proxxy, members | {"host": f"{dotted}:{standin.port}"}, key)


@pytest.mark.parametrize("make", [seal, seal_jwe])
def test_json_behind_a_byte_order_mark(proxxy: Activator, standin: StandIn, key: str, make: Any) -> None:
    plain = json.dumps(standin.console("qemu", ECHO) | {"exp": int(time.time()) + 60}).encode("utf-8-sig")
    with Client.upgraded(proxxy.port, target(make(plain, key))) as client:
        client.send_frame(BINARY, b"ping")
        assert client.read_data(4) == b"ping"
