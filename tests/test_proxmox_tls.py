# SPDX-License-Identifier: Apache-2.0
"""Which certificates of Proxmox are trusted, and which TLS versions, suites and keys work."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import console
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from lib.activator import Activator
from lib.answers import greet, outcome, refusal, result, serve
from lib.certs import Authority, Cert
from lib.mounts import with_mounts
from lib.payload import seal, seal_jwe, target
from lib.process import free_port, listens, spawn, stop, wait_for
from lib.upstream import Connection, Upstream
from lib.wire import Client


@pytest.mark.parametrize("verify", ["on", "off"])
def test_fingerprint_in_the_payload_is_the_only_one_that_counts(
    authority: Authority, settings: dict[str, Any], key: str, verify: str
) -> None:
    """Nothing in the settings replaces it: no CA, no other fingerprint, and not PROXXY_TLS_VERIFY=off."""
    cert, other = authority.self_signed(), authority.leaf("other")
    with Activator(settings | {"PROXXY_TLS_VERIFY": verify, "PROXXY_FINGERPRINTS": other.fingerprint}) as proxxy:
        with Upstream(cert, serve) as upstream:
            assert outcome(proxxy, seal_jwe(console(upstream.port), key, fingerprint=cert.fingerprint)) == "ok"
        with Upstream(other, serve) as upstream:
            reason = outcome(proxxy, seal_jwe(console(upstream.port), key, fingerprint=cert.fingerprint))
            assert reason.endswith("it is not the one whose fingerprint the payload has")


@pytest.mark.parametrize("verify", ["on", "off"])
def test_ca_in_the_payload_is_the_only_one_that_counts(
    authority: Authority, settings: dict[str, Any], key: str, tmp_path: Path, verify: str
) -> None:
    """`ca` has `cert` of vncproxy's answer, for clusters without a CA in the settings."""
    stranger = Authority(tmp_path, "another CA")
    with Activator(settings | {"PROXXY_TLS_VERIFY": verify}) as proxxy:
        for name, leaf in (("ok", stranger.leaf()), ("its CA is not known", authority.leaf())):
            with Upstream(leaf, serve) as upstream:
                ca = stranger.leaf().ca.read_text()
                assert outcome(proxxy, seal_jwe(console(upstream.port), key, ca=ca)).endswith(name)
        empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        assert refusal(proxxy, seal_jwe(console(8006), key, ca=empty))[:2] == (400, "Invalid payload")


def test_unauthenticated_payload_cannot_bring_its_own_trust(
    authority: Authority, settings: dict[str, Any], key: str
) -> None:
    cert = authority.self_signed()
    with Activator(settings) as proxxy, Upstream(cert, serve) as upstream:
        payload = seal(console(upstream.port, fingerprint=cert.fingerprint, ca=cert.cert.read_text()), key)
        assert "not trusted" in outcome(proxxy, payload)


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
    """The Close has the reason without the host's name, the log has it with the name. proxxy sends no HTTP."""
    requests: list[Any] = []
    with Activator(settings) as proxxy, Upstream(
        make(authority), lambda c: requests.append(c.read_request())
    ) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: " + words
        log = proxxy.wait_log("Session ended")
        assert f"Proxmox: certificate is not trusted: 127.0.0.1: {words}" in log and "outcome=upstream-untrusted" in log
    assert requests == []


def test_unknown_ca_is_refused(settings: dict[str, Any], key: str, tmp_path: Any) -> None:
    stranger = Authority(tmp_path, "another CA").leaf()
    with Activator(settings) as proxxy, Upstream(stranger, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: its CA is not known"


@pytest.mark.parametrize("where", ["setting", "payload"])
def test_certificate_that_the_site_names_ends_a_chain(
    authority: Authority, key: str, tmp_path: Path, where: str
) -> None:
    """The site may trust an intermediate CA's certificate or the server's own. proxxy still checks name, dates and the
    right to sign."""
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
    with WithSystemCA({"SIGNATURE_KEY": key}, intermediate.ca) as proxxy, Upstream(
        intermediate.leaf(), greet
    ) as upstream:
        assert result(proxxy, key, console(upstream.port)).endswith("its CA is not known")


def test_without_a_ca_file_the_systems_directory_counts(key: str, cert: Cert) -> None:
    with Activator({"SIGNATURE_KEY": key}) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: its CA is not known"


class WithSystemCA(Activator):
    """proxxy in a mount namespace where the system's CA directory trusts one CA."""

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
def test_fingerprint_accepts_a_self_signed_certificate(
    authority: Authority, key: str, form: Callable[[str], str]
) -> None:
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
        proxxy.wait_log("PROXXY_TLS_VERIFY is off")


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_ca_file_that_cannot_be_used_is_500(key: str, tmp_path: Any, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with Activator({"SIGNATURE_KEY": key, "PROXXY_CA_FILE": path}) as proxxy:
        with Client.connect(proxxy.port, target(seal(console(8006), key))) as client:
            assert client.read_head().status == 500
        assert str(path) in proxxy.wait_log("PROXXY_CA_FILE")


def test_name_goes_into_sni_and_is_checked(
    settings: dict[str, Any], cert: Cert, authority: Authority, key: str
) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port, "localhost")) == "ok"
        assert upstream.server_names == ["localhost"]
    only_address = authority.leaf("only-address", dns=())
    with Activator(settings) as proxxy, Upstream(only_address, greet) as upstream:
        assert "another name" in result(proxxy, key, console(upstream.port, "localhost"))


def test_address_does_not_go_into_sni_and_is_checked(
    settings: dict[str, Any], cert: Cert, authority: Authority, key: str
) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"
        assert upstream.server_names in ([], [None])
    only_name = authority.leaf("only-name", ips=())
    with Activator(settings) as proxxy, Upstream(only_name, greet) as upstream:
        assert "another name" in result(proxxy, key, console(upstream.port))


def test_common_name_is_no_name(settings: dict[str, Any], authority: Authority, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(authority.leaf("localhost", dns=(), ips=()), greet) as upstream:
        assert "another name" in result(proxxy, key, console(upstream.port, "localhost"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(settings: dict[str, Any], cert: Cert, key: str, version: ssl.TLSVersion) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet, maximum_version=version) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


KEYS: dict[str, Callable[[], Any]] = {
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
    """proxxy loads only some of OpenSSL's algorithms (algorithms.h): all that Proxmox's certificate may use work."""
    cert = authority.leaf(f"kind-{kind}", key=KEYS[kind](), self_signed=self_signed)
    settings = {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca}
    with Activator(settings) as proxxy, Upstream(cert, greet, maximum_version=version) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


SUITES = [  # from pveproxy's default list, and TLS 1.3's
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256",
]  # fmt: skip


@contextmanager
def serving(cert: Cert, options: list[str]) -> Iterator[int]:
    """Runs openssl s_server. It is no WebSocket server; if proxxy can read its answer, TLS works."""
    port = free_port()
    command: list[str | Path] = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        cert.cert,
        "-key",
        cert.key,
        "-www",
    ]
    server = spawn([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port), 5, "s_server does not listen")
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
    """Suites without forward secrecy or authenticated encryption: the handshake fails at once, with that reason."""
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
def test_server_that_wants_a_certificate_of_ours(
    settings: dict[str, Any], cert: Cert, key: str, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 the server's refusal arrives after the client has finished its handshake."""
    words = "handshake failure" if version == ssl.TLSVersion.TLSv1_2 else "certificate required"
    with Activator(settings) as proxxy, Upstream(cert, greet, maximum_version=version) as upstream:
        upstream.demand_certificate(cert.ca)
        assert result(proxxy, key, console(upstream.port)) == f"Proxmox: TLS failed: it refused: {words}"
        log = proxxy.wait_log("Session ended")
        assert f"Proxmox: TLS failed: 127.0.0.1: it refused: {words}" in log and "outcome=upstream-tls" in log


def test_no_tls_behind_the_handshake(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """Unencrypted bytes, even a TLS alert, are not taken for an HTTP answer."""

    def in_the_clear(what: bytes) -> Callable[[Connection], Any]:
        return lambda c: (c.read_request(), os.write(c.sock.fileno(), what), c.sock.shutdown(socket.SHUT_WR))

    for what in (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x50",
        b"\x17\x03\x03\x00\x20" + b"x" * 32,
    ):
        with Activator(settings) as proxxy, Upstream(cert, in_the_clear(what)) as upstream:
            assert result(proxxy, key, console(upstream.port)).startswith("Proxmox: TLS failed: ")
            assert "outcome=upstream-tls" in proxxy.wait_log("Session ended")


def test_tls_that_breaks_while_a_console_is_open(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """The log has OpenSSL's reason."""

    def script(c: Connection) -> None:
        c.accept_upgrade()
        os.write(c.sock.fileno(), b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Activator(settings) as proxxy, Upstream(cert, script) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: connection lost: without close_notify"
        assert "without close_notify: TLS: it sent data that is not TLS" in proxxy.wait_log("Session ended")
