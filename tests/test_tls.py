# SPDX-License-Identifier: Apache-2.0
"""The way to Proxmox: which certificates are trusted, names and addresses, and the time it may take."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import quote

import pytest
from conftest import console
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from lib.activator import Activator
from lib.certs import Authority, Cert
from lib.payload import seal, seal_jwe, target
from lib.process import free_port, spawn, stop, wait_for
from lib.upstream import Connection, Upstream
from lib.wire import CLOSE, Client, close_payload


def greet(c: Connection) -> None:
    c.accept_upgrade()
    c.send_frame(2, b"RFB 003.008\n")
    c.close_code(10)


def result(proxxy: Activator, key: str, members: dict[str, Any], timeout: float = 5, payload: str = "") -> str:
    """"ok" when the console greets, else the reason of the Close 1011."""
    with Client.upgraded(proxxy.port, target(payload or seal(members, key))) as client:
        frame = client.read_frame(timeout)
        if frame.opcode == CLOSE:
            assert frame.payload[:2] == (1011).to_bytes(2, "big")
            return frame.payload[2:].decode()
        assert frame.payload == b"RFB 003.008\n"
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")
        return "ok"


REFUSED: list[tuple[str, Callable[[Authority], Cert], str]] = [
    ("self-signed", Authority.self_signed, "it is self-signed"),
    ("expired", Authority.expired, "it has expired"),
    ("not yet valid", Authority.not_yet_valid, "it is not valid yet"),
    ("wrong name", Authority.wrong_name, "it is for another name or address"),
]


@pytest.mark.parametrize("make, words", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_bad_certificate_is_refused_and_says_why(
    settings: dict[str, Any], authority: Authority, key: str, make: Callable[[Authority], Cert], words: str
) -> None:
    """In the Close without the machine's name, in the log with it; and no byte of HTTP was sent."""
    requests: list[Any] = []
    with Activator(settings) as proxxy, Upstream(make(authority), lambda c: requests.append(c.read_request())) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: " + words
        log = proxxy.wait_log("Session ended")
        assert f"Proxmox: certificate is not trusted: 127.0.0.1: {words}" in log and "outcome=upstream-untrusted" in log
    assert requests == []


def test_unknown_ca_is_refused(settings: dict[str, Any], key: str, tmp_path: Any) -> None:
    stranger = Authority(tmp_path, "another CA").leaf()
    with Activator(settings) as proxxy, Upstream(stranger, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: its CA is not known"


@pytest.mark.parametrize("where", ["setting", "payload"])
def test_certificate_that_the_site_names_ends_a_chain(authority: Authority, key: str, tmp_path: Path, where: str) -> None:
    """An intermediate CA's, or the server's own. Its name, dates and right to sign are checked as ever."""
    for place in ("intermediate", "server"):
        (tmp_path / place).mkdir()
    intermediate = Authority(tmp_path / "intermediate", "intermediate CA", authority)
    no_ca = Authority(tmp_path / "server", "a server", authority, is_ca=False)
    leaf, expired, named = intermediate.leaf(), authority.expired("mine"), authority.wrong_name("theirs")
    other = authority.leaf("other")
    cases = [
        (leaf, intermediate.ca, "ok"),
        (leaf, leaf.cert, "ok"),
        (leaf, authority.ca, "its CA is not known"),  # the server does not send the intermediate
        (leaf, other.cert, "its CA is not known"),
        (expired, expired.cert, "it has expired"),
        (named, named.cert, "it is for another name or address"),
        (no_ca.leaf("signed"), no_ca.ca, "invalid CA certificate"),
    ]
    for cert, trusted, words in cases:
        settings = {"SIGNATURE_KEY": key} | ({"PROXXY_CA_FILE": trusted} if where == "setting" else {})
        with Activator(settings) as proxxy, Upstream(cert, greet) as upstream:
            members = console(upstream.port) | ({"ca": trusted.read_text()} if where == "payload" else {})
            payload = seal_jwe(members, key)
            assert result(proxxy, key, members, payload=payload).endswith(words), (cert, trusted)


def test_intermediate_of_the_systems_does_not(authority: Authority, key: str, tmp_path: Path) -> None:
    (tmp_path / "intermediate").mkdir()
    intermediate = Authority(tmp_path / "intermediate", "intermediate CA", authority)
    with WithSystemCA({"SIGNATURE_KEY": key}, intermediate.ca) as proxxy, Upstream(intermediate.leaf(), greet) as upstream:
        assert result(proxxy, key, console(upstream.port)).endswith("its CA is not known")


def test_without_a_ca_file_the_systems_directory_counts(key: str, cert: Cert) -> None:
    with Activator({"SIGNATURE_KEY": key}) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: its CA is not known"


def with_mounts(places: dict[Path, Path], command: list[Any]) -> list[Any]:
    """The command in a mount namespace where each file or directory stands in another's place."""
    script = "".join(f'mount --bind "{ours}" "{theirs.resolve()}" && ' for ours, theirs in places.items())
    return ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", *command]


class WithSystemCA(Activator):
    """proxxy on a machine whose administrator trusts one CA, in a mount namespace."""

    def __init__(self, settings: dict[str, Any], ca: str | Path) -> None:
        super().__init__(settings)
        self._ca = ca

    def command(self) -> list[Any]:
        certs = self.directory / "certs"
        certs.mkdir()
        shutil.copy(self._ca, certs / "ca.crt")
        subprocess.run(["openssl", "rehash", certs], check=True)
        answer = subprocess.run(["openssl", "version", "-d"], check=True, capture_output=True, text=True).stdout
        return with_mounts({certs: Path(answer.split('"')[1]) / "certs"}, super().command())


def test_ca_in_the_systems_directory_is_trusted(cert: Cert, key: str) -> None:
    with WithSystemCA({"SIGNATURE_KEY": key}, cert.ca) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


@pytest.mark.parametrize("form", [str, str.lower, lambda f: f.replace(":", "")], ids=["colons", "lower", "plain"])
def test_fingerprint_accepts_a_self_signed_certificate(authority: Authority, key: str, form: Callable[[str], str]) -> None:
    cert = authority.self_signed()
    other = authority.leaf("other")
    fingerprints = f"{form(other.fingerprint)}, {form(cert.fingerprint)}"
    with Activator({"SIGNATURE_KEY": key, "PROXXY_FINGERPRINTS": fingerprints}) as proxxy:
        with Upstream(cert, greet) as upstream:
            assert result(proxxy, key, console(upstream.port)) == "ok"
        with Upstream(authority.wrong_name(), greet) as upstream:
            assert "not trusted" in result(proxxy, key, console(upstream.port))


def test_verification_can_be_switched_off_loudly(authority: Authority, key: str) -> None:
    with Activator({"SIGNATURE_KEY": key, "PROXXY_TLS_VERIFY": "off"}) as proxxy:
        with Upstream(authority.expired(), greet) as upstream:
            assert result(proxxy, key, console(upstream.port)) == "ok"
        assert "PROXXY_TLS_VERIFY is off" in proxxy.log()


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_ca_file_that_cannot_be_used_is_500(key: str, tmp_path: Any, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with Activator({"SIGNATURE_KEY": key, "PROXXY_CA_FILE": path}) as proxxy:
        with Client.connect(proxxy.port, target(seal(console(8006), key))) as client:
            assert client.read_head().status == 500
        assert str(path) in proxxy.wait_log("PROXXY_CA_FILE")


def test_name_goes_into_sni_and_is_checked(settings: dict[str, Any], cert: Cert, authority: Authority, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port, "localhost")) == "ok"
        assert upstream.server_names == ["localhost"]
    only_address = authority.leaf("only-address", dns=())
    with Activator(settings) as proxxy, Upstream(only_address, greet) as upstream:
        assert "another name" in result(proxxy, key, console(upstream.port, "localhost"))


def test_address_does_not_go_into_sni_and_is_checked(settings: dict[str, Any], cert: Cert, authority: Authority, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"
        assert upstream.server_names in ([], [None])
    only_name = authority.leaf("only-name", ips=())
    with Activator(settings) as proxxy, Upstream(only_name, greet) as upstream:
        assert "another name" in result(proxxy, key, console(upstream.port))


def test_common_name_is_no_name(settings: dict[str, Any], authority: Authority, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(authority.leaf("localhost", dns=(), ips=()), greet) as upstream:
        assert "another name" in result(proxxy, key, console(upstream.port, "localhost"))


def test_ipv6(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet, address="::1") as upstream:
        assert result(proxxy, key, console(upstream.port, "::1")) == "ok"
    with Upstream(cert, greet, address="::1") as upstream:
        with Activator(settings | {"PROXXY_UPSTREAM_PORT": upstream.port}) as proxxy:
            assert result(proxxy, key, console(0) | {"host": "::1"}) == "ok"


class WithNames(Activator):
    """proxxy on a machine of its own names: a private /etc/hosts and /etc/resolv.conf, in a mount namespace."""

    def __init__(self, settings: dict[str, Any], hosts: str, resolver: str = "127.0.0.1") -> None:
        super().__init__(settings)
        self._files = {"hosts": hosts, "resolv.conf": f"nameserver {resolver}\noptions attempts:5 timeout:5\n"}

    def command(self) -> list[Any]:
        for name, text in self._files.items():
            (self.directory / name).write_text(text)
        return with_mounts({self.directory / name: Path("/etc", name) for name in self._files}, super().command())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_next_address_is_tried(settings: dict[str, Any], authority: Authority, key: str, address: str) -> None:
    """The name has addresses where nobody listens, and one where someone does."""
    hosts = "127.0.0.2 pve.test\n127.0.0.1 pve.test\n::1 pve.test\n"
    cert = authority.leaf("pve.test", dns=("pve.test",))
    with WithNames(settings, hosts) as proxxy, Upstream(cert, greet, address=address) as upstream:
        assert result(proxxy, key, console(upstream.port, "pve.test")) == "ok"
        assert upstream.server_names == ["pve.test"]


@pytest.mark.parametrize("after", [0, 2.5], ids=["at once", "late"])
def test_named_host_lasts(settings: dict[str, Any], cert: Cert, key: str, after: float) -> None:
    """However a name was looked up, nothing of it is left that a sandbox could hinder from ending, seconds later."""

    def slow(c: Connection) -> None:
        c.accept_upgrade(delay=after)
        c.send_frame(2, b"RFB 003.008\n")
        time.sleep(2.5 - after)
        c.send_frame(2, b"still here")
        c.close_code(10)

    with WithNames(settings, "127.0.0.1 localhost\n") as proxxy, Upstream(cert, slow) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, "localhost"), key))) as client:
            assert client.read_frame(5).payload == b"RFB 003.008\n"
            assert client.read_frame(5).payload == b"still here"
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")


def test_refusal_by_a_named_host_is_told(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """Proxmox takes 3 s for it."""

    def refuse(c: Connection) -> None:
        c.read_request()
        time.sleep(3)
        c.respond(401, "No ticket")

    with WithNames(settings, "127.0.0.1 localhost\n") as proxxy, Upstream(cert, refuse) as upstream:
        assert result(proxxy, key, console(upstream.port, "localhost"), 8) == "Proxmox: 401 No ticket"


def test_name_that_cannot_be_resolved(settings: dict[str, Any], key: str) -> None:
    with WithNames(settings, "") as proxxy:
        reason = result(proxxy, key, console(8006, "no-such-host.test"), 12)
        assert reason.startswith("Proxmox: its name cannot be resolved")
        assert "no-such-host" not in reason
        assert "cannot be resolved: no-such-host.test: " in proxxy.wait_log("Session ended")


def test_resolver_that_never_answers(settings: dict[str, Any], key: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.77", 53))
        with WithNames(settings | {"PROXXY_CONNECT_TIMEOUT": 1}, "", "127.0.0.77") as proxxy:
            started = time.monotonic()
            assert result(proxxy, key, console(8006, "pve.test")) == "Proxmox: no answer in time: its name is still not resolved"
            assert 0.9 < time.monotonic() - started < 2.5
        with WithNames(settings, "", "127.0.0.77") as proxxy:
            with Client.upgraded(proxxy.port, target(seal(console(8006, "pve.test"), key))):
                proxxy.wait_sessions(1)
            proxxy.wait_sessions(0, 3)  # the client left, and nobody waits for the resolver


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(settings: dict[str, Any], cert: Cert, key: str, version: ssl.TLSVersion) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet, maximum_version=version) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


KEYS = {
    "RSA-2048": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "RSA-4096": lambda: rsa.generate_private_key(public_exponent=65537, key_size=4096),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("self_signed", [False, True], ids=["of-the-CA", "self-signed"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", KEYS)
def test_kinds_of_certificates(
    authority: Authority, key: str, kind: str, version: ssl.TLSVersion, self_signed: bool
) -> None:
    """OpenSSL shows this process few algorithms (algorithms.h): all that Proxmox's certificate may have are there."""
    cert = authority.leaf(f"kind-{kind}", key=KEYS[kind](), self_signed=self_signed)
    settings = {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca}
    with Activator(settings) as proxxy, Upstream(cert, greet, maximum_version=version) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


SUITES = [  # those of pveproxy's default list, and TLS 1.3's
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256",
]  # fmt: skip


@contextmanager
def serving(cert: Cert, options: list[str]) -> Iterator[int]:
    """openssl s_server, which is no WebSocket server: that its answer is read shows that TLS stands."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert.cert, "-key", cert.key, "-www"]
    server = spawn([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: f"0100007F:{port:04X}" in Path("/proc/net/tcp").read_text(), 5, "s_server does not listen")
        yield port
    finally:
        stop(server)


@pytest.mark.parametrize("group", ["prime256v1", "secp384r1", "secp521r1", "X25519"])
@pytest.mark.parametrize("suite", SUITES)
def test_suites_and_groups(authority: Authority, key: str, suite: str, group: str) -> None:
    cert = authority.leaf("suites", rsa_bits=2048)
    chosen = ["-tls1_3", "-ciphersuites", suite] if suite.startswith("TLS_") else ["-tls1_2", "-cipher", suite]
    with serving(cert, ["-groups", group, *chosen]) as port:
        with Activator({"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca}) as proxxy:
            assert result(proxxy, key, console(port)) == "Proxmox: 200"


@pytest.mark.parametrize("suite", ["AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA384"])
def test_suites_that_are_not_offered(authority: Authority, key: str, suite: str) -> None:
    """Without forward secrecy, or not authenticated encryption: refused at once, and said so."""
    cert = authority.leaf("suites", rsa_bits=2048)
    with serving(cert, ["-tls1_2", "-cipher", suite]) as port:
        with Activator({"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca}) as proxxy:
            assert result(proxxy, key, console(port)) == "Proxmox: TLS failed: it refused: handshake failure"


def test_tls_1_1_is_refused(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy:
        with Upstream(cert, greet, maximum_version=ssl.TLSVersion.TLSv1_1) as upstream:
            assert result(proxxy, key, console(upstream.port)) == "Proxmox: TLS failed: it refused: protocol version"


def test_port_without_tls(settings: dict[str, Any], key: str) -> None:
    def plain(c: Connection) -> None:
        c.read(5)
        c.respond(400, "Bad Request")

    with Activator(settings) as proxxy, Upstream(None, plain) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: TLS failed: its port does not speak TLS"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_server_that_wants_a_certificate_of_ours(settings: dict[str, Any], cert: Cert, key: str, version: ssl.TLSVersion) -> None:
    """With TLS 1.3 it refuses behind the handshake, as the client sees it."""
    words = "handshake failure" if version == ssl.TLSVersion.TLSv1_2 else "certificate required"
    with Activator(settings) as proxxy, Upstream(cert, greet, maximum_version=version) as upstream:
        upstream.demand_certificate(cert.ca)
        assert result(proxxy, key, console(upstream.port)) == f"Proxmox: TLS failed: it refused: {words}"
        log = proxxy.wait_log("Session ended")
        assert f"Proxmox: TLS failed: 127.0.0.1: it refused: {words}" in log and "outcome=upstream-tls" in log


def test_no_tls_behind_the_handshake(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """What comes in the clear, be it an alert, is no answer of HTTP."""

    def in_the_clear(what: bytes) -> Callable[[Connection], Any]:
        return lambda c: (c.read_request(), os.write(c.sock.fileno(), what), c.sock.shutdown(socket.SHUT_WR))

    for what in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x50", b"\x17\x03\x03\x00\x20" + b"x" * 32):
        with Activator(settings) as proxxy, Upstream(cert, in_the_clear(what)) as upstream:
            assert result(proxxy, key, console(upstream.port)).startswith("Proxmox: TLS failed: ")
            assert "outcome=upstream-tls" in proxxy.wait_log("Session ended")


def test_tls_that_breaks_while_a_console_is_open(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """What TLS says is in the log."""

    def script(c: Connection) -> None:
        c.accept_upgrade()
        os.write(c.sock.fileno(), b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Activator(settings) as proxxy, Upstream(cert, script) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: connection lost: without close_notify"
        assert "without close_notify: TLS: it sent data that is not TLS" in proxxy.wait_log("Session ended")


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_close_before_tls_leads_to_pveproxys_lists(settings: dict[str, Any], key: str, reset: bool) -> None:
    """pveproxy closes on whom ALLOW_FROM does not name: the log says where to look, the client is not told."""

    def close(c: Connection) -> None:
        c.read(0 if reset else 5)  # closing with unread data resets

    with Activator(settings) as proxxy, Upstream(None, close) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: TLS failed: connection closed"
        assert "/etc/default/pveproxy" in proxxy.wait_log("Session ended")


def test_close_within_tls_does_not(settings: dict[str, Any], key: str) -> None:
    def half(c: Connection) -> None:
        c.read(5)
        c.send(b"\x16\x03\x03\x00\x7a\x02")

    with Activator(settings) as proxxy, Upstream(None, half) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: TLS failed: connection closed"
        assert "/etc/default" not in proxxy.wait_log("Session ended")


# --- answers ---------------------------------------------------------------------------------

ANSWERS: list[tuple[Callable[[Connection], Any], str]] = [
    (lambda c: (c.read_request(), c.respond(401, "No ticket")), "Proxmox: 401 No ticket"),
    (lambda c: (c.read_request(), c.respond(403, "Permission check failed (/vms/100, VM.Console)")),
     "Proxmox: 403 Permission check failed"),
    (lambda c: (c.read_request(), c.respond(500, "")), "Proxmox: 500"),
    (lambda c: (c.read_request(), c.respond(200, "OK", {}, b'{"data":null}')), "Proxmox: 200"),
    (lambda c: (c.read_request(), c.respond(500, "hostname lookup 'pve02.internal' failed")), "Proxmox: 500"),
    (lambda c: (c.read_request(), c.send(b"SSH-2.0-OpenSSH\r\n")), "Proxmox: no WebSocket answer: it is not HTTP"),
    (lambda c: (c.read_request(), c.send(b"HTTP/1.1 101 x\r\nA: " + b"b" * 9000)), "Proxmox: no WebSocket answer: it is not HTTP"),
    (lambda c: c.read_request(), "Proxmox: no WebSocket answer: connection closed"),
    (lambda c: c.accept_upgrade({"Sec-WebSocket-Accept": "bm90IHRoZSByaWdodCBvbmU9PT0="}),
     "Proxmox: no WebSocket answer: it does not accept the upgrade"),
    (lambda c: c.accept_upgrade({"Upgrade": ""}), "Proxmox: no WebSocket answer: it does not accept the upgrade"),
    (lambda c: c.accept_upgrade({"Sec-WebSocket-Accept": ""}), "Proxmox: no WebSocket answer: it does not accept the upgrade"),
]


@pytest.mark.parametrize("script, reason", ANSWERS, ids=[f"{n} {words[9:40]}" for n, (_, words) in enumerate(ANSWERS)])
def test_answer_that_is_no_upgrade(settings: dict[str, Any], cert: Cert, key: str, script: Any, reason: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, script) as upstream:
        told = result(proxxy, key, console(upstream.port))
        assert told == reason and len(told.encode()) <= 123


def test_log_has_proxmoxs_own_words_but_no_secret(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """And no words that could pass for the log's own fields, and nothing but printable ASCII."""
    members = console(0)
    secrets = [members["ticket"], members["ticket"].split("=")[-1], members["vncticket"], quote(members["vncticket"], safe="")]
    with Activator(settings) as proxxy:
        for phrase in ("no 'pve02.internal' x\" outcome=done \xff", *(f"bad {secret}" for secret in secrets)):
            with Upstream(cert, lambda c: (c.read_request(), c.respond(500, phrase))) as upstream:
                assert result(proxxy, key, members | {"host": f"127.0.0.1:{upstream.port}"}) == "Proxmox: 500"
        log = proxxy.log()
        assert "Proxmox: 127.0.0.1: 500 no 'pve02.internal' x? outcome?done ? peer=" in log
        assert not any(secret in log for secret in secrets)


def test_request_is_what_proxmox_expects(settings: dict[str, Any], cert: Cert, key: str) -> None:
    seen: list[Any] = []
    with Activator(settings) as proxxy, Upstream(cert, lambda c: seen.append(c.accept_upgrade())) as upstream:
        ticket = "a%/&=+ #é:PVEVNC:65::x+/="
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, vncticket=ticket), key))) as client:
            client.close_code()
    request = seen[0]
    encoded = "a%25%2F%26%3D%2B%20%23%C3%A9%3APVEVNC%3A65%3A%3Ax%2B%2F%3D"
    assert request.start == f"GET /api2/json/nodes/pve01/qemu/100/vncwebsocket?port=5900&vncticket={encoded} HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert request.headers["upgrade"] == "websocket" and request.headers["connection"] == "Upgrade"
    assert request.headers["sec-websocket-version"] == "13"
    assert len(request.raw) < 8192 and len(request.headers) < 64


def test_frames_in_one_segment_with_the_answer_are_kept(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """The answer and the first frame in one TLS record: the frame is not lost with the head."""

    def eager(c: Connection) -> None:
        request = c.read_request()
        accept = base64.b64encode(hashlib.sha1((request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        c.send(b"HTTP/1.1 101 ok\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " + accept
               + b"\r\n\r\n" + b"\x82\x0cRFB 003.008\n")
        c.close_code(10)

    with Activator(settings) as proxxy, Upstream(cert, eager) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


@pytest.mark.parametrize("stage", ["tcp", "tls", "upgrade"])
def test_deadline_holds_at_every_stage(settings: dict[str, Any], cert: Cert, key: str, stage: str) -> None:
    def hang(c: Connection) -> None:
        c.hang()

    with Activator(settings | {"PROXXY_CONNECT_TIMEOUT": 1}) as proxxy:
        with Upstream(cert if stage == "upgrade" else None, hang) as upstream:
            members = console(upstream.port)
            backlog = []
            if stage == "tcp":  # a full backlog drops further SYNs
                listener = socket.create_server(("127.0.0.1", 0), backlog=0)
                for _ in range(3):
                    waiting = socket.socket()
                    waiting.setblocking(False)
                    waiting.connect_ex(listener.getsockname())
                    backlog.append(waiting)
                members = console(listener.getsockname()[1])
            started = time.monotonic()
            assert result(proxxy, key, members).startswith("Proxmox: no answer")
            assert 0.9 < time.monotonic() - started < 2.5
            for waiting in backlog:
                waiting.close()


def test_refused_port_is_told_at_once(settings: dict[str, Any], key: str) -> None:
    with Activator(settings) as proxxy:
        started = time.monotonic()
        assert "Connection refused" in result(proxxy, key, console(free_port()))
        assert time.monotonic() - started < 2
