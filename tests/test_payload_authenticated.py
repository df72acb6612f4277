# SPDX-License-Identifier: Apache-2.0
"""The authenticated payload format (JWE): keys, claims, tickets, and what the client and the log get of a refusal."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any, Callable
from urllib.parse import quote

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import INVALID, ask, echoes, refusal
from lib.certs import Cert
from lib.payload import base64url, seal, seal_jwe, target
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import Client


@pytest.fixture(scope="module")
def proxxy(relay: Activator) -> Activator:
    """Only under Activator: a payload's meaning does not depend on what spawned the session."""
    return relay


def test_jwe_opens_a_console(proxxy: Activator, standin: StandIn, key: str) -> None:
    assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key))
    assert "format=jwe" in proxxy.wait_log("Session ended")


@pytest.mark.parametrize("ascii", [False, True], ids=["raw", "escaped"])
def test_user_with_an_umlaut(proxxy: Activator, standin: StandIn, key: str, ascii: bool) -> None:
    """Raw UTF-8 and JSON escapes are both accepted, with every version of json-c."""
    sealers: list[Callable[[bytes, str], str]] = [seal, seal_jwe]
    for sealed in sealers:
        given = standin.console("qemu", ECHO) | {"exp": int(time.time()) + 60, "müller": "müller@pve 😀"}
        text = json.dumps(given, ensure_ascii=ascii).encode()
        assert text.isascii() == ascii
        assert echoes(proxxy, sealed(text, key))


def test_kid_picks_among_old_and_new_keys(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    new, stranger = os.urandom(32).hex(), os.urandom(32).hex()
    with Activator(settings | {"SIGNATURE_KEY": f"2026:{new}, 2025:{key}"}) as proxxy:
        for kid, used in ((None, new), (None, key), ("2026", new), ("2025", key)):
            payload = seal_jwe(standin.console("qemu", ECHO), used, {"kid": kid} if kid else {})
            assert echoes(proxxy, payload)
        assert "kid=2026" in proxxy.wait_log("kid=2025")
        for kid, used in (("2026", key), ("2024", key), ("", key), ("2025", stranger)):
            assert ask(proxxy, seal_jwe(standin.console("qemu", ECHO), used, {"kid": kid})) == (400, INVALID)


def test_log_names_no_key_that_opened_nothing(settings: dict[str, Any]) -> None:
    with Activator(settings | {"SIGNATURE_KEY": f"one:{os.urandom(32).hex()},two:{os.urandom(32).hex()}"}) as proxxy:
        assert ask(proxxy, seal(console(8006), os.urandom(32).hex())) == (400, INVALID)
        assert "kid=" not in proxxy.wait_log("made with another key")


def test_kid_of_a_key_without_a_name_does_not_matter(proxxy: Activator, standin: StandIn, key: str) -> None:
    assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key, {"kid": "any"}))


def broken(key: str) -> dict[str, str]:
    """Returns payloads that are not authenticated by the key, each with another fault."""
    good = seal_jwe(console(8006), key)
    header, _, nonce, sealed, tag = good.split(".")

    def with_header(**members: Any) -> str:
        return seal_jwe(console(8006), key, members)

    def flipped(part: str) -> str:
        return part[:-1] + ("A" if part[-1] != "A" else "Q")

    return {
        "another key": seal_jwe(console(8006), os.urandom(32).hex()),
        "ciphertext flipped": ".".join([header, "", nonce, flipped(sealed), tag]),
        "tag flipped": ".".join([header, "", nonce, sealed, flipped(tag)]),
        "nonce flipped": ".".join([header, "", flipped(nonce), sealed, tag]),
        "header replaced": ".".join([base64url(b'{"enc":"A256GCM","alg":"dir"}'), "", nonce, sealed, tag]),
        "short tag": ".".join([header, "", nonce, sealed, base64url(b"\0" * 12)]),
        "no tag": ".".join([header, "", nonce, sealed, ""]),
        "short nonce": ".".join([header, "", base64url(b"\0" * 8), sealed, tag]),
        "encrypted key": ".".join([header, "AAAA", nonce, sealed, tag]),
        "no ciphertext": ".".join([header, "", nonce, "", tag]),
        "four parts": ".".join([header, nonce, sealed, tag]),
        "six parts": good + ".",
        "padding": good + "==",
        "alg none": with_header(alg="none"),
        "alg A256KW": with_header(alg="A256KW"),
        "alg in capitals": with_header(alg="DIR"),
        "enc A128GCM": with_header(enc="A128GCM"),
        "enc CBC": with_header(enc="A256CBC-HS512"),
        "zip": with_header(zip="DEF"),
        "crit": with_header(crit=["exp"], exp=1),
        "header is no JSON": seal_jwe(console(8006), key, b"dir"),
        "header is a list": seal_jwe(console(8006), key, b'["dir"]'),
        "empty": "....",
        "one dot": "a.b",
        "nothing of either": "payload",
        "cbc with another key": seal(console(8006), os.urandom(32).hex()),
        "cbc, not JSON": seal(b"not JSON", key),
        "cbc, schema": seal({"vmid": 1}, key),
        "cbc, loopback by name": seal(console(8006) | {"host": "127.1"}, key),
    }


def test_unauthenticated_payloads_get_one_answer(proxxy: Activator, key: str) -> None:
    answers = {}
    for name, payload in broken(key).items():
        with Client.connect(proxxy.port, target(payload)) as client:
            answers[name] = client.read_all()
    for name, answer in answers.items():
        assert answer == answers["another key"], name
    assert answers["another key"].endswith(INVALID)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": None}, (400, "Invalid payload", "exp is missing or not in seconds since 1970")),
        ({"exp": "soon"}, (400, "Invalid payload", "exp is missing or not in seconds since 1970")),
        ({"exp": -10}, (403, "Payload has expired", "exp was 10 s ago")),
        ({"exp": 400}, (400, "Invalid payload", "exp is 400 s ahead, more than PROXXY_PAYLOAD_LIFETIME")),
        ({"nbf": 60}, (403, "Payload is not valid yet", "nbf is 60 s ahead")),
        ({"nbf": "now"}, (400, "Invalid payload", "nbf is not in seconds since 1970")),
        ({"jti": ""}, (400, "Invalid payload", "jti is not a string of 1 to 256 bytes without control characters")),
        ({"jti": 7}, (400, "Invalid payload", "jti is not a string of 1 to 256 bytes without control characters")),
        ({"origin": "panel"}, (400, "Invalid payload", "origin is not an origin, like https://panel.example.com")),
        ({"client": "everyone"}, (400, "Invalid payload", "client is not an IP address or network")),
        ({"fingerprint": "AB:CD"}, (400, "Invalid payload", "fingerprint is not a SHA-256 fingerprint, 64 hex digits")),
        ({"ca": "a file"}, (400, "Invalid payload", "ca is not a PEM certificate of at most 8192 bytes")),
        ({"session_max": 0}, (400, "Invalid payload", "session_max is not a number of seconds from 1 to 31536000")),
        ({"vmid": 0}, (400, "Invalid payload", "vmid is not an integer from 1 to 999999999")),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_claims_that_are_refused(proxxy: Activator, key: str, claims: dict[str, Any], expected: tuple) -> None:
    """An authenticated payload's answer says what is wrong."""
    now = int(time.time())
    dated = {n: now + v if n in ("exp", "nbf") and isinstance(v, int) else v for n, v in claims.items()}
    status, error, issue = refusal(proxxy, seal_jwe(console(8006), key, **dated))
    assert (status, error) == expected[:2]
    # A second may pass between sealing and opening.
    assert issue == expected[2] or " s " in issue and issue.split(" s ")[1] == expected[2].split(" s ")[1]


@pytest.mark.parametrize("claims", [{"exp": -3}, {"nbf": 3}, {"exp": 60.5}, {"nbf": -5, "iat": -5, "iss": "panel"}])
def test_claims_that_are_accepted(proxxy: Activator, standin: StandIn, key: str, claims: dict[str, Any]) -> None:
    """Clocks may differ by a few seconds; a NumericDate may have a fraction; unknown claims are ignored."""
    dated = {
        name: time.time() // 1 + value if name in ("exp", "nbf", "iat") else value for name, value in claims.items()
    }
    assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key, **dated))


def mistakes(key: str) -> dict[str, str]:
    """Returns common mistakes in making a payload, and the log's message for each."""
    payload = seal(console(8006), key)
    iv, cipher = payload.split(":")
    in_base64 = ":".join(base64.b64encode(bytes.fromhex(part)).decode() for part in (iv, cipher))
    return {
        quote(payload, safe=""): "it is URL-encoded twice",
        in_base64: "it is in base64, not hex",
        base64.b64encode(payload.encode()).decode(): "it is in base64, not hex",
        payload.encode().hex(): "it is hex-encoded twice",
        ":".join(part.encode().hex() for part in (iv, cipher)): "it is hex-encoded twice",
        seal(console(8006), "ab" * 32): "made with another key",
        seal_jwe(console(8006), "ab" * 32): "not made with our key",
        payload[:-2]: "it was cut off",
        json.dumps(console(8006)): "it is plain JSON, not encrypted",
        payload.replace(":", ""): "no colon",
        seal(b"no JSON", key): "not from a JSON object",
        seal_jwe(console(8006), key).replace(".", "=.", 1): "not base64url without padding",
    }


def test_each_mistake_has_its_words_in_the_log_and_one_answer(settings: dict[str, Any], key: str) -> None:
    """The client gets the same bytes after the same time for each: it cannot tell the mistakes apart."""
    for payload, words in mistakes(key).items():
        with Activator(settings) as proxxy:
            started = time.monotonic()
            with Client.connect(proxxy.port, f"/?payload={quote(payload, safe='')}") as client:
                head = client.read_head()
                assert (head.status, client.read_body(head)) == (400, INVALID), words
            assert 0.05 <= time.monotonic() - started < 1, words
            log = proxxy.wait_log("Request refused")
            assert f"Invalid payload: {words}" in log or words in log, (words, log)
            assert payload[:40] not in log


TOKEN = "panel@pve!proxxy=6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"


WRONG_TICKETS = {
    TOKEN: "API token without PVEAPIToken= before it",
    "PVEAuthCookie=PVE:alice@pve:65A1B2C3::x": "name before it: ",
    f"Authorization: PVEAPIToken={TOKEN}": "name before it: ",
    "aB3$ xyz:PVEVNC:65A1B2C3::x": "which belongs in vncticket",
    "PBS:root@pam:65A1B2C3::x": "neither PVEAPIToken=",
}


@pytest.mark.parametrize("ticket", WRONG_TICKETS)
def test_ticket_that_proxmox_takes_from_nobody(proxxy: Activator, key: str, ticket: str) -> None:
    """The answer to an authenticated payload says so at once, not after Proxmox's 3 s."""
    status, body = ask(proxxy, seal_jwe(console(8006, ticket=ticket), key))
    answer = json.loads(body)
    assert (status, answer["error"]) == (400, "Invalid payload")
    assert WRONG_TICKETS[ticket] in answer["issues"][0]["message"] and ticket not in body.decode()
    assert WRONG_TICKETS[ticket] in proxxy.wait_log(WRONG_TICKETS[ticket]) and "6f1c5bd0" not in proxxy.log()


@pytest.mark.parametrize("ticket", WRONG_TICKETS)
def test_such_a_ticket_in_the_old_format_is_warned_of(proxxy: Activator, cert: Cert, key: str, ticket: str) -> None:
    """proxxy sends it to Proxmox as a cookie, as the original does; a client notices no difference."""
    seen: list[Any] = []

    def refuse(c: Connection) -> None:
        seen.append(c.read_request())
        c.respond(401, "No ticket")

    with Upstream(cert, refuse) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, ticket=ticket), key))) as client:
            assert client.close_code() == (1011, "Proxmox: 401 No ticket")
    assert seen[0].headers["authorization"] == f"PVEAuthCookie={ticket}"
    assert WRONG_TICKETS[ticket] in proxxy.wait_log(WRONG_TICKETS[ticket]) and "6f1c5bd0" not in proxxy.log()


@pytest.mark.parametrize(
    "ticket", ["PVE:alice@openid:65A1B2C3::x", "PVE%3Aalice%40pve%3A65::x", f"PVEAPIToken={TOKEN}"]
)
def test_tickets_that_proxmox_knows(proxxy: Activator, key: str, ticket: str) -> None:
    with Client.upgraded(proxxy.port, target(seal_jwe(console(1, ticket=ticket), key))) as client:
        assert client.close_code()[0] == 1011


def test_lifetime_is_a_setting(settings: dict[str, Any], key: str) -> None:
    with Activator(settings | {"PROXXY_PAYLOAD_LIFETIME": 20}) as proxxy:
        assert refusal(proxxy, seal_jwe(console(8006), key))[:2] == (400, "Invalid payload")


def test_client_address(proxxy: Activator, standin: StandIn, key: str) -> None:
    for network in ("127.0.0.1", "127.0.0.0/8"):
        assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key, client=network))
    for network in ("127.0.0.2", "192.0.2.0/24", "::1"):
        assert refusal(proxxy, seal_jwe(console(8006), key, client=network))[:2] == (403, "Client address not allowed")


def test_only_authenticated_payloads(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings | {"PROXXY_PAYLOADS": "jwe"}) as proxxy:
        assert ask(proxxy, seal(standin.console("qemu", ECHO), key)) == (400, INVALID)
        assert "PROXXY_PAYLOADS does not accept this format" in proxxy.wait_log("Request refused")
        assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key))
        assert "not authenticated, do not expire" not in proxxy.log()


def test_only_the_old_format_is_warned_of(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings | {"PROXXY_PAYLOADS": "cbc"}) as proxxy:
        assert ask(proxxy, seal_jwe(standin.console("qemu", ECHO), key)) == (400, INVALID)
        assert echoes(proxxy, seal(standin.console("qemu", ECHO), key))
        assert "PROXXY_PAYLOADS is cbc: payloads are not authenticated" in proxxy.wait_log("Session ended")
