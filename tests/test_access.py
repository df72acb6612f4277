# SPDX-License-Identifier: Apache-2.0
"""Who gets a console: authenticated payloads and what they say, single use, and the lists of hosts
and origins."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote

import pytest
from conftest import ECHO, console
from lib.activator import Activator, binary
from lib.certs import Authority, Cert
from lib.payload import base64url, seal, seal_jwe, target
from lib.process import wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, PING, Client, close_payload, encode_frame, upgrade_request

INVALID = b'{"error":"Invalid payload","code":400,"issues":[]}'


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any]) -> Iterator[Activator]:
    with Activator(settings) as proxxy:
        yield proxxy


def ask(proxxy: Activator, payload: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """The answer to a payload: its status and, unless it is 101, its body."""
    with Client.connect(proxxy.port, target(payload), headers) as client:
        head = client.read_head()
        return head.status, b"" if head.status == 101 else client.read_body(head)


def refusal(proxxy: Activator, payload: str, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Status, error and what an authenticated payload's maker is told besides."""
    status, body = ask(proxxy, payload, headers)
    answer = json.loads(body)
    assert answer["code"] == status
    return status, answer["error"], " ".join(issue["message"] for issue in answer["issues"])


def told_in_close(proxxy: Activator, payload: str, headers: dict[str, str]) -> tuple[int | None, str]:
    """Code and reason of the Close that a browser, which sends Origin, is refused with."""
    with Client.upgraded(proxxy.port, target(payload), headers) as client:
        said = client.close_code()
        client.send_frame(CLOSE, close_payload(1000))
        assert client.at_end()
    return said


def echoes(proxxy: Activator, payload: str, headers: dict[str, str] | None = None) -> bool:
    with Client.upgraded(proxxy.port, target(payload), headers) as client:
        client.send_frame(BINARY, b"x")
        return client.read_data(1) == b"x"


# --- the format ------------------------------------------------------------------------------


def test_jwe_opens_a_console(proxxy: Activator, standin: StandIn, key: str) -> None:
    assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key))
    assert "format=jwe" in proxxy.wait_log("Session ended")


@pytest.mark.parametrize("ascii", [False, True], ids=["raw", "escaped"])
def test_user_with_an_umlaut(proxxy: Activator, standin: StandIn, key: str, ascii: bool) -> None:
    """Raw UTF-8 is as good as escapes, with every json-c."""
    for sealed in (seal, seal_jwe):
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
    """Payloads that nobody with the key has made, each wrong in another way."""
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


# --- claims ----------------------------------------------------------------------------------


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
    """Whoever holds the key is told what is wrong."""
    now = int(time.time())
    dated = {n: now + v if n in ("exp", "nbf") and isinstance(v, int) else v for n, v in claims.items()}
    status, error, issue = refusal(proxxy, seal_jwe(console(8006), key, **dated))
    assert (status, error) == expected[:2]
    # A second may pass between sealing and opening.
    assert issue == expected[2] or " s " in issue and issue.split(" s ")[1] == expected[2].split(" s ")[1]


@pytest.mark.parametrize("claims", [{"exp": -3}, {"nbf": 3}, {"exp": 60.5}, {"nbf": -5, "iat": -5, "iss": "panel"}])
def test_claims_that_are_accepted(proxxy: Activator, standin: StandIn, key: str, claims: dict[str, Any]) -> None:
    """Clocks differ by a few seconds; a NumericDate may have a fraction; other claims are nobody's."""
    dated = {name: time.time() // 1 + value if name in ("exp", "nbf", "iat") else value for name, value in claims.items()}
    assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key, **dated))


def mistakes(key: str) -> dict[str, str]:
    """Ways to send no payload, and what the log tells of each."""
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
    """To the client they are the same, byte for byte and in time: nothing there tells one from the other."""
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
    """Its authenticated maker is told at once, not after Proxmox's 3 s."""
    status, body = ask(proxxy, seal_jwe(console(8006, ticket=ticket), key))
    answer = json.loads(body)
    assert (status, answer["error"]) == (400, "Invalid payload")
    assert WRONG_TICKETS[ticket] in answer["issues"][0]["message"] and ticket not in body.decode()
    assert WRONG_TICKETS[ticket] in proxxy.wait_log(WRONG_TICKETS[ticket]) and "6f1c5bd0" not in proxxy.log()


@pytest.mark.parametrize("ticket", WRONG_TICKETS)
def test_such_a_ticket_in_the_old_format_is_warned_of(proxxy: Activator, cert: Cert, key: str, ticket: str) -> None:
    """It goes to Proxmox as a cookie, as the original sends it: to a client there is no difference."""
    seen: list[Any] = []

    def refuse(c: Connection) -> None:
        seen.append(c.read_request())
        c.respond(401, "No ticket")

    with Upstream(cert, refuse) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, ticket=ticket), key))) as client:
            assert client.close_code() == (1011, "Proxmox: 401 No ticket")
    assert seen[0].headers["authorization"] == f"PVEAuthCookie={ticket}"
    assert WRONG_TICKETS[ticket] in proxxy.wait_log(WRONG_TICKETS[ticket]) and "6f1c5bd0" not in proxxy.log()


@pytest.mark.parametrize("ticket", ["PVE:alice@openid:65A1B2C3::x", "PVE%3Aalice%40pve%3A65::x", f"PVEAPIToken={TOKEN}"])
def test_tickets_that_proxmox_knows(proxxy: Activator, key: str, ticket: str) -> None:
    with Client.upgraded(proxxy.port, target(seal_jwe(console(1, ticket=ticket), key))) as client:
        assert client.close_code()[0] == 1011


def test_lifetime_is_a_setting(settings: dict[str, Any], key: str) -> None:
    with Activator(settings | {"PROXXY_PAYLOAD_LIFETIME": 20}) as proxxy:
        assert refusal(proxxy, seal_jwe(console(8006), key))[:2] == (400, "Invalid payload")


def test_session_max_of_the_payload_counts_when_it_is_shorter(
    settings: dict[str, Any], standin: StandIn, key: str
) -> None:
    for setting, claim in ((3600, 1), (1, 3600), (0, 1)):
        with Activator(settings | {"PROXXY_SESSION_MAX": setting}) as proxxy:
            payload = seal_jwe(standin.console("qemu", ECHO), key, session_max=claim)
            started = time.monotonic()
            with Client.upgraded(proxxy.port, target(payload)) as client:
                assert client.close_code() == (1001, "Session reached its maximum length")
            assert 0.5 < time.monotonic() - started < 3


def test_client_address(proxxy: Activator, standin: StandIn, key: str) -> None:
    for network in ("127.0.0.1", "127.0.0.0/8"):
        assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key, client=network))
    for network in ("127.0.0.2", "192.0.2.0/24", "::1"):
        assert refusal(proxxy, seal_jwe(console(8006), key, client=network))[:2] == (403, "Client address not allowed")


def test_origin_in_the_payload(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, origin="https://panel.example.com")
    assert echoes(proxxy, payload, {"Origin": "https://panel.example.com"})
    assert refusal(proxxy, payload)[:2] == (403, "Origin not allowed")
    for other in ("null", "http://panel.example.com", "https://panel.example.com:444", "https://evil.example"):
        expected = (1008, "Origin not allowed: the payload is for another origin")
        assert told_in_close(proxxy, payload, {"Origin": other}) == expected


def serve(c: Connection) -> None:
    c.accept_upgrade()
    c.send_frame(BINARY, b"ok")
    c.close_code(60)


def result(proxxy: Activator, payload: str) -> str:
    """What a payload leads to: "ok", or the Close's reason."""
    with Client.upgraded(proxxy.port, target(payload)) as client:
        frame = client.read_frame()
        return "ok" if frame.payload == b"ok" else frame.payload[2:].decode()


@pytest.mark.parametrize("verify", ["on", "off"])
def test_fingerprint_in_the_payload_is_the_only_one_that_counts(
    authority: Authority, settings: dict[str, Any], key: str, verify: str
) -> None:
    """Neither a CA that we know nor PROXXY_TLS_VERIFY=off stands in for it."""
    cert, other = authority.self_signed(), authority.leaf("other")
    with Activator(settings | {"PROXXY_TLS_VERIFY": verify, "PROXXY_FINGERPRINTS": other.fingerprint}) as proxxy:
        with Upstream(cert, serve) as upstream:
            assert result(proxxy, seal_jwe(console(upstream.port), key, fingerprint=cert.fingerprint)) == "ok"
        with Upstream(other, serve) as upstream:
            reason = result(proxxy, seal_jwe(console(upstream.port), key, fingerprint=cert.fingerprint))
            assert reason.endswith("it is not the one whose fingerprint the payload has")


@pytest.mark.parametrize("verify", ["on", "off"])
def test_ca_in_the_payload_is_the_only_one_that_counts(
    authority: Authority, settings: dict[str, Any], key: str, tmp_path: Path, verify: str
) -> None:
    """`cert` of vncproxy's answer, for clusters that nobody configured a CA for."""
    stranger = Authority(tmp_path, "another CA")
    with Activator(settings | {"PROXXY_TLS_VERIFY": verify}) as proxxy:
        for name, leaf in (("ok", stranger.leaf()), ("its CA is not known", authority.leaf())):
            with Upstream(leaf, serve) as upstream:
                ca = stranger.leaf().ca.read_text()
                assert result(proxxy, seal_jwe(console(upstream.port), key, ca=ca)).endswith(name)
        empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        assert refusal(proxxy, seal_jwe(console(8006), key, ca=empty))[:2] == (400, "Invalid payload")


def test_unauthenticated_payload_cannot_bring_its_own_trust(
    authority: Authority, settings: dict[str, Any], key: str
) -> None:
    cert = authority.self_signed()
    with Activator(settings) as proxxy, Upstream(cert, serve) as upstream:
        payload = seal(console(upstream.port, fingerprint=cert.fingerprint, ca=cert.cert.read_text()), key)
        assert "not trusted" in result(proxxy, payload)


# --- how a browser is told -------------------------------------------------------------------

PAGE = {"Origin": "https://panel.example.com"}
CLOSES: dict[str, tuple[dict[str, Any], tuple[str, str], str]] = {
    "expired": ({"exp": -60}, ("Payload has expired", "exp was 60 s ago"), "payload-expired"),
    "early": ({"nbf": 60}, ("Payload is not valid yet", "nbf is 60 s ahead"), "payload-early"),
    "origin": ({"origin": "https://x.example"}, ("Origin not allowed", "the payload is for another origin"), "origin"),
    "client": ({"client": "192.0.2.1"}, ("Client address not allowed", "the payload is for another client address"), "client-address"),
    "host": ({"host": "169.254.169.254"}, ("Proxmox: connecting to its address is not allowed", ""), "host-forbidden"),
    "too far ahead": ({"exp": 400}, ("Invalid payload", "exp is 400 s ahead, more than PROXXY_PAYLOAD_LIFETIME"), "payload-invalid"),
    "schema": ({"vmid": 0}, ("Invalid payload", "vmid is not an integer from 1 to 999999999"), "payload-invalid"),
    "ca": ({"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, ("Invalid payload", ""), "payload-invalid"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSES)
def test_refusal_is_told_to_browsers_in_a_close(settings: dict[str, Any], key: str, case: str) -> None:
    """They show no page what an HTTP refusal says. The same words, record and exit status as without Origin; and a
    plain GET says the same."""
    members, (words, detail), outcome = CLOSES[case]
    now = int(time.time())
    dated = {n: now + v if n in ("exp", "nbf") else v for n, v in members.items()}
    sealed = lambda: seal_jwe(console(8006) | dated, key, **({} if "exp" in dated else {"exp": now + 60}))  # noqa: E731
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": "127.0.0.0/8"}) as proxxy:
        code, reason = told_in_close(proxxy, sealed(), PAGE)
        assert code == 1008 and reason.startswith(words) and len(reason.encode()) <= 123
        assert not detail or reason.split(" s ")[-1] == f"{words}: {detail}".split(" s ")[-1]
        in_close = proxxy.wait_log("Request refused")
        status, error, issue = refusal(proxxy, sealed())
        assert reason.split(" s ")[-1] == f"{error}: {issue}"[:123].split(" s ")[-1]
        if case != "origin":
            assert refusal(proxxy, sealed(), {"Upgrade": ""})[:2] == (status, error)
        wait_for(lambda: proxxy.log().count("Request refused") >= 2, 5, proxxy.log)
        for record in proxxy.log().splitlines():
            if "Request refused" in record:
                assert f"outcome={outcome}" in record and f"status={status}" in record and words in record
        assert "Session began" not in in_close


def test_used_link_is_told_so(proxxy: Activator, standin: StandIn, key: str) -> None:
    """In a Close to a browser; to a GET, which has no Origin; and neither uses up what is not used."""
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="told", origin=PAGE["Origin"])
    assert ask(proxxy, payload, {"Upgrade": ""})[0] == 426
    assert echoes(proxxy, payload, PAGE)
    assert told_in_close(proxxy, payload, PAGE) == (1008, "Payload was used already")
    assert refusal(proxxy, payload, {"Upgrade": ""})[:2] == (403, "Payload was used already")
    assert refusal(proxxy, payload)[:2] == (403, "Origin not allowed")


@pytest.mark.parametrize("headers", [{"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "short"}, {"Upgrade": "h2c"}])
def test_what_cannot_be_upgraded_has_an_http_answer(proxxy: Activator, key: str, headers: dict[str, str]) -> None:
    assert refusal(proxxy, seal_jwe(console(8006), key, client="192.0.2.1"), {**PAGE, **headers})[0] == 403


def test_what_was_not_sealed_with_the_key_has_an_http_answer(proxxy: Activator, key: str) -> None:
    for payload in (seal_jwe(console(8006), "0" * 64), seal(console(8006, vmid=0), key), seal(console(8006), "0" * 64), "x"):
        started = time.monotonic()
        assert ask(proxxy, payload, PAGE) == (400, INVALID)
        assert time.monotonic() - started > 0.05


def test_client_that_does_not_hear_the_refusal_is_gone_in_time(proxxy: Activator, key: str) -> None:
    """What it sends meanwhile is frames, or it is not: nothing of it gets anywhere."""
    payload = seal_jwe(console(8006), key, client="192.0.2.1")
    frames = encode_frame(PING, b"?", mask=b"abcd") + encode_frame(BINARY, b"x" * 70000, mask=b"abcd")
    for early in (b"", frames, encode_frame(CLOSE, close_payload(1000), mask=b"abcd"), b"GET / HTTP/1.1\r\n\r\n"):
        started = time.monotonic()
        with Client.connect(proxxy.port, raw=upgrade_request(proxxy.port, target(payload), PAGE) + early) as client:
            assert client.read_head().status == 101
            assert client.close_code()[0] in (1000, 1002, 1008)
            try:
                client.read_all(10)
            except ConnectionResetError:
                pass
        assert time.monotonic() - started < 6
    proxxy.wait_sessions(0, 10)


# --- single use ------------------------------------------------------------------------------


def test_jti_opens_once(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="once")
    assert echoes(proxxy, payload)
    assert refusal(proxxy, payload)[:2] == (403, "Payload was used already")
    # Another payload with the same jti is no other.
    again = seal_jwe(standin.console("qemu", ECHO), key, jti="once", exp=int(time.time()) + 200)
    assert refusal(proxxy, again)[:2] == (403, "Payload was used already")
    assert "outcome=payload-used" in proxxy.log()


def test_one_of_many_at_once_gets_the_console(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="race")
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: ask(proxxy, payload)[0], range(24)))
    assert sorted(answers) == [101] + [403] * 23


def test_request_that_could_not_be_upgraded_does_not_use_it_up(
    proxxy: Activator, standin: StandIn, key: str
) -> None:
    """A link that a chat program looks at first is still good."""
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="preview", origin="https://panel.example.com")
    origin = {"Origin": "https://panel.example.com"}
    assert ask(proxxy, payload, {**origin, "Upgrade": ""})[0] == 426
    assert ask(proxxy, payload, {**origin, "Sec-WebSocket-Key": ""})[0] == 400
    assert told_in_close(proxxy, payload, {"Origin": "https://evil.example"})[0] == 1008
    assert ask(proxxy, payload)[0] == 403
    assert echoes(proxxy, payload, origin)


def test_used_jti_are_kept_as_hashes_until_they_expire(
    settings: dict[str, Any], standin: StandIn, key: str
) -> None:
    with Activator(settings) as proxxy:
        old = [proxxy.used / f"00{digit:x}{'0' * 61}" for digit in range(16)]
        others = [proxxy.used / "README", proxxy.used / ("g" * 64)]
        for path in (*old, *others):
            path.touch()
            os.utime(path, (0, 0))
        for n in range(200):  # one in sixteen looks for what has expired, among a sixteenth of all
            assert ask(proxxy, seal_jwe(standin.console("qemu", ECHO), key, jti=f"customer-{n}"))[0] == 101
            if not all(path.exists() for path in old):
                break
        assert sum(path.exists() for path in old) == 15 and all(path.exists() for path in others)
        names = [path.name for path in proxxy.used.iterdir() if path not in (*old, *others)]
        assert len(names) == n + 1 and all(len(name) == 64 for name in names)
        assert "customer" not in proxxy.log()


def test_state_directory_that_cannot_be_written_fails_closed(
    settings: dict[str, Any], standin: StandIn, key: str, tmp_path: Path
) -> None:
    with Activator(settings | {"PROXXY_STATE_DIRECTORY": tmp_path / "none"}) as proxxy:
        assert ask(proxxy, seal_jwe(console(8006), key, jti="x"))[0] == 500
        assert str(tmp_path)[:40] in proxxy.wait_log("PROXXY_STATE_DIRECTORY")
        assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key))


# --- settings --------------------------------------------------------------------------------


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


def test_allowed_origins(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    allowed = "https://panel.example.com, https://*.customers.example:8443, http://[::1]"
    with Activator(settings | {"PROXXY_ALLOWED_ORIGINS": allowed}) as proxxy:
        for origin in ("https://panel.example.com", "https://a.b.customers.example:8443", "http://[::1]"):
            assert echoes(proxxy, seal(standin.console("qemu", ECHO), key), {"Origin": origin})
        payload = seal(console(8006), key)
        assert refusal(proxxy, payload)[:2] == (403, "Origin not allowed")
        for origin in ("null", "https://customers.example:8443", "https://a.customers.example", "https://x@panel.example.com"):
            assert told_in_close(proxxy, payload, {"Origin": origin}) == (1008, "Origin not allowed")
            # Asked without an upgrade, too.
            assert refusal(proxxy, payload, {"Upgrade": "", "Origin": origin})[:2] == (403, "Origin not allowed")
        assert ask(proxxy, payload, {"Upgrade": ""})[0] == 426
        assert "outcome=origin" in proxxy.wait_log("PROXXY_ALLOWED_ORIGINS")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254",
                                  "[fe80::1]", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "100.100.100.200"])
def test_addresses_that_need_to_be_allowed(settings: dict[str, Any], key: str, host: str) -> None:
    """Loopback, link-local and metadata: an unauthenticated payload is not even told why."""
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": ""}) as proxxy:
        assert ask(proxxy, seal(console(8006) | {"host": f"{host}:8006"}, key)) == (400, INVALID)
        expected = (403, "Proxmox: connecting to its address is not allowed",
                    "host is loopback, link-local or metadata and not in PROXXY_ALLOWED_HOSTS")
        assert refusal(proxxy, seal_jwe(console(8006) | {"host": f"{host}:8006"}, key)) == expected


@pytest.mark.parametrize("allowed", ["", "192.0.2.0/24, 2001:db8::/32"])
def test_name_that_resolves_to_loopback_is_not_dialled(
    settings: dict[str, Any], cert: Cert, key: str, allowed: str
) -> None:
    """It is the resolved address that is looked at, and then dialled."""
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": allowed}) as proxxy, Upstream(cert, serve) as upstream:
        payload = seal_jwe(console(upstream.port, "localhost"), key)
        assert result(proxxy, payload) == "Proxmox: connecting to its address is not allowed: not in PROXXY_ALLOWED_HOSTS"
        assert "outcome=host-forbidden" in proxxy.wait_log("Session ended")
        assert upstream.connections == 0


@pytest.mark.parametrize("allowed", ["127.0.0.0/8", "localhost", "pve.example.com, 127.0.0.1, ::1"])
def test_hosts_that_are_allowed(settings: dict[str, Any], standin: StandIn, key: str, allowed: str) -> None:
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": allowed}) as proxxy:
        assert echoes(proxxy, seal(standin.console("qemu", ECHO), key))
        refused = console(8006) | {"host": "192.0.2.1"}
        assert ask(proxxy, seal(refused, key)) == (400, INVALID)
        assert refusal(proxxy, seal_jwe(refused, key))[2] == "host is not in PROXXY_ALLOWED_HOSTS"


@pytest.mark.parametrize(
    "setting",
    ["PROXXY_ALLOWED_HOSTS=10.0.0.1/8", "PROXXY_ALLOWED_HOSTS=10.0.0.0/33", "PROXXY_ALLOWED_HOSTS=https://pve1",
     "PROXXY_ALLOWED_HOSTS=*", "PROXXY_ALLOWED_HOSTS=pve*.example.com", "PROXXY_ALLOWED_HOSTS=127.1", "PROXXY_ALLOWED_HOSTS=a,,b",
     "PROXXY_ALLOWED_ORIGINS=panel.example.com", "PROXXY_ALLOWED_ORIGINS=https://panel.example.com/",
     "PROXXY_ALLOWED_ORIGINS=*", "PROXXY_PAYLOADS=", "PROXXY_PAYLOADS=rsa", "PROXXY_STATE_DIRECTORY=relative"],
)  # fmt: skip
def test_settings_that_are_not_understood_are_errors(settings: dict[str, Any], key: str, setting: str) -> None:
    name, value = setting.split("=")
    with Activator(settings | {name: value}) as proxxy:
        assert ask(proxxy, seal(console(8006), key))[0] == 500
        assert f"{name} has an invalid value" in proxxy.wait_log("Request refused")


# --- --check ---------------------------------------------------------------------------------


def check(tmp_path: Path, **settings: object) -> tuple[int, str]:
    """Exit status and words of proxxy-conn --check."""
    config = tmp_path / "proxxy.conf"
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
    """Neither from --check nor from the log; a path's other characters stay what they are."""
    settings = {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": "/größe\x9b31m\x1b[0m.pem"}
    status, told = check(tmp_path, **settings)
    assert status == 78 and "/größe?31m?[0m.pem" in told
    with Activator(settings) as proxxy:
        with Client.connect(proxxy.port, target(seal(console(8006), key))) as client:
            assert client.read_head().status == 500
        assert "/größe?31m?[0m.pem" in proxxy.wait_log("Request refused")


def test_check_knows_a_ca_file_that_is_one(key: str, tmp_path: Path, cert: Cert) -> None:
    assert check(tmp_path, SIGNATURE_KEY=key, PROXXY_CA_FILE=cert.ca, PROXXY_PAYLOADS="jwe") == (0, "")
