# SPDX-License-Identifier: Apache-2.0
"""Each library for backends opens the shared vectors, makes the links of the shared cases, refuses what proxxy would
refuse, and opens consoles through proxxy: with a link, and with a console that it has requested from Proxmox."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import parse_qs, parse_qsl

import pytest
from conftest import NAMED, echo
from lib.activator import TREE, Activator
from lib.certs import Authority, Cert
from lib.late import echoes, shake_hands
from lib.payload import seal_jwe, target, unseal_jwe
from lib.sdk import LANGUAGES, Built, Driver, style
from lib.standin import StandIn
from lib.termproxy import termproxy_console
from lib.upstream import Connection, Upstream
from lib.vnc_console import VncConsole
from lib.wire import BINARY, Client

VECTORS, REFUSED = (json.loads((TREE / "sdk" / "vectors.json").read_text())[name] for name in ("vectors", "refused"))
CASES = json.loads((TREE / "sdk" / "cases.json").read_text())
KEY = bytes(range(32)).hex()  # of the cases
PAGE = "https://panel.example.com/console/"
GUEST = 103
KID = "2026-11"
SECRET = "6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"
TOKEN = f"root@pam!proxxy={SECRET}"
CLUSTER_ISSUES = ("no cluster file", "cluster file of proxxy")  # what only proxxy knows
PAGE_OPTIONS = {"title", "again", "panel", "lang", "layout", "viewOnly", "bar"}  # link's, not payload's
# Characters that percent-encoding, JSON or a URL could corrupt.
HARD_TICKET = "a%&+#=/;:PVEVNC:65A1B2C3::\"q'\\u0041\\\\ <>?$(id)`id`*é😀Zw=="


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    directory = tmp_path_factory.mktemp("sdk")
    ready: dict[str, Built] = {}

    def build(name: str) -> Built:
        if name not in ready:
            ready[name] = Built(name, directory)
        return ready[name]

    return build


@pytest.fixture(scope="module", params=LANGUAGES)
def built(request: pytest.FixtureRequest, builds: Callable[[str], Built]) -> Built:
    return builds(request.param)


@pytest.fixture(scope="module")
def driver(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    # Common workarounds for self-signed certificates, left on the machine, must not disable the verification.
    home = tmp_path_factory.mktemp("home")
    (home / ".curlrc").write_text("insecure\n")
    around = {"HOME": str(home), "NODE_TLS_REJECT_UNAUTHORIZED": "0", "PYTHONHTTPSVERIFY": "0"}
    with Driver(built, home, around) as driver:
        yield driver
        assert SECRET not in driver.stderr()


class Library:
    """A library with a key and a page, whose errors a test may look at."""

    def __init__(self, driver: Driver, **settings: Any) -> None:
        self._driver = driver
        self.settings = {"page": PAGE, **settings}

    def result(self, call: str, options: Any) -> Any:
        answer = self._driver.ask(self.settings, call, options)
        assert set(answer) == {"result"}, answer
        return answer["result"]

    def error(self, call: str, options: Any) -> dict[str, Any]:
        answer = self._driver.ask(self.settings, call, options)
        assert set(answer) == {"error"} and answer["error"]["message"]
        assert SECRET not in json.dumps(answer) and KEY not in json.dumps(answer)
        return answer["error"]

    def link(self, options: dict[str, Any], call: str = "link") -> tuple[str, str, list[tuple[str, str]]]:
        """Returns the page's name, the payload, and the fragment's other parameters."""
        url, _, fragment = self.result(call, options).partition("#")
        (name, payload), *others = parse_qsl(fragment, strict_parsing=True, keep_blank_values=True)
        assert url.startswith(PAGE) and name == "payload"
        return url.removeprefix(PAGE), payload, others


@pytest.fixture
def library(driver: Driver) -> Library:
    return Library(driver, key=KEY)


def test_its_own_tests(built: Built) -> None:
    built.unit_tests()


# --- vectors and cases -----------------------------------------------------------------------


def test_opens_the_vectors(driver: Driver) -> None:
    for vector in VECTORS:
        kid = json.loads(vector.get("header", "{}")).get("kid")
        library = Library(driver, key=f"{kid}:{vector['key']}" if kid else vector["key"])
        if vector["format"] == "jwe":
            assert library.result("open", vector["payload"]) == vector["claims"], vector["name"]
        else:
            assert library.error("open", vector["payload"])["name"] == "InvalidOption", vector["name"]


def test_opens_no_refused_vector(driver: Driver) -> None:
    for vector in REFUSED:
        library = Library(driver, key=vector["key"])
        if any(words in vector["why"] for words in CLUSTER_ISSUES):
            assert library.result("open", vector["payload"]) == json.loads(vector["plaintext"]), vector["name"]
        else:
            error = library.error("open", vector["payload"])
            assert (error["name"], style(error["option"])) == ("InvalidOption", "payload"), vector["name"]


def test_opens_what_has_a_key_of_its(driver: Driver) -> None:
    """As proxxy does: a key with the payload's kid, or without a name; all keys without a kid."""
    claims = {"vmid": 100, "type": "qemu", "cluster": "pve"}
    library = Library(driver, key=f"old:{'00' * 32},{KID}:{KEY}")
    headers: list[dict[str, str]] = [{}, {"kid": KID}]
    for header in headers:
        assert library.result("open", seal_jwe(claims, KEY, header))["vmid"] == 100
    assert library.error("open", seal_jwe(claims, KEY, {"kid": "old"}))["name"] == "InvalidOption"


def test_cases_make_links(library: Library) -> None:
    for case in CASES["links"]:
        began = int(time.time())
        page, payload, fragment = library.link(case["options"])
        header, text = unseal_jwe(payload, KEY)
        claims = json.loads(text)
        assert json.loads(header) == {"alg": "dir", "enc": "A256GCM"}, case["name"]
        assert began <= claims["iat"] <= time.time(), case["name"]
        assert claims["exp"] == claims["iat"] + case["lifetime"], case["name"]
        assert type(claims["iat"]) is int and type(claims["exp"]) is int
        del claims["iat"], claims["exp"]
        if claims.get("protocol") == "vnc":  # proxxy's default, so a library may leave it out
            del claims["protocol"]
        assert (page, claims, fragment) == (
            case["page"], case["claims"], [tuple(pair) for pair in case["fragment"]],
        ), case["name"]  # fmt: skip


def test_proxxy_accepts_the_cases(driver: Driver, proxxy: Activator, key: str) -> None:
    """proxxy says of each payload that it cannot use it here, but of none that it is wrong."""
    library = Library(driver, key=key)
    for case in CASES["links"]:
        if case["lifetime"] > 300 or "notBefore" in case["options"]:
            continue
        options = {name: value for name, value in case["options"].items() if name not in PAGE_OPTIONS}
        payload = library.result("payload", options)
        said = refusal(proxxy, payload)
        assert "Invalid payload" not in said or any(words in said for words in CLUSTER_ISSUES), (case["name"], said)


def test_cases_that_are_refused(library: Library, built: Built) -> None:
    for case in CASES["invalid"]:
        if case["options"].get(case["option"]) in built.language.unset:
            continue
        for call in ["link"] if PAGE_OPTIONS & set(case["options"]) else ["link", "payload"]:
            error = library.error(call, case["options"])
            assert (error["name"], style(error.get("option", ""))) == ("InvalidOption", style(case["option"])), case


def test_payload_alone(library: Library) -> None:
    payload = library.result("payload", {"vmid": 100, "type": "qemu", "cluster": "pve"})
    assert payload.count(".") == 4 and library.result("open", payload)["cluster"] == "pve"


def test_jti_true_is_another_one_each_time(library: Library) -> None:
    options = {"vmid": 100, "type": "qemu", "cluster": "pve", "jti": True}
    first, second = (library.result("open", library.result("payload", options))["jti"] for _ in range(2))
    assert first != second and 16 <= len(first) <= 256


def test_every_link_has_another_nonce(library: Library) -> None:
    options = {"vmid": 100, "type": "qemu", "cluster": "pve"}
    assert len({library.result("payload", options).split(".")[2] for _ in range(20)}) == 20


# --- keys and pages --------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["key", "keyFile"])
def test_keys(driver: Driver, tmp_path: Path, source: str) -> None:
    file = tmp_path / "signature.key"
    for kind, case in [(kind, case) for kind in ("good", "bad") for case in CASES["keys"][kind]]:
        file.write_text(case["text"])
        settings = {source: case["text"] if source == "key" else str(file)}
        library = Library(driver, **settings, **({"kid": case["kid"]} if "kid" in case else {}))
        options = {"vmid": 100, "type": "qemu", "cluster": "pve"}
        if kind == "good":
            header, _ = unseal_jwe(library.result("payload", options), KEY)
            assert json.loads(header).get("kid") == case["header"], case
        else:
            error = library.error("payload", options)
            assert error["name"] == "KeyFileError", case
            assert len(case["text"]) < 60 or case["text"] not in error["message"]


def test_no_key_file(driver: Driver, tmp_path: Path) -> None:
    error = Library(driver, keyFile=str(tmp_path / "none")).error("payload", {})
    assert error["name"] == "KeyFileError" and "none" in error["message"]


def test_pages(driver: Driver) -> None:
    options = {"vmid": 100, "type": "qemu", "cluster": "pve"}
    for page in CASES["pages"]["good"]:
        assert Library(driver, key=KEY, page=page).result("link", options).startswith(f"{page}novnc.html#payload=")
    for page in CASES["pages"]["bad"]:
        error = Library(driver, key=KEY, page=page).error("link", options)
        assert (error["name"], style(error["option"])) == ("InvalidOption", "page"), page


# --- requests to Proxmox ---------------------------------------------------------------------


@pytest.fixture
def answering(cert: Cert) -> Iterator[Callable[..., tuple[int, list[tuple[str, dict[str, str], str]]]]]:
    """answering(status, reason, body) starts a Proxmox that sends this answer. Returns its port and its requests."""
    upstreams = []

    def start(
        status: int, reason: str, body: bytes | None, at: Cert = cert, address: str = "127.0.0.1"
    ) -> tuple[int, list]:
        asked: list[tuple[str, dict[str, str], str]] = []

        def script(connection: Connection) -> None:
            head = connection.read_request()
            asked.append((head.start, head.headers, connection.read(int(head.headers["content-length"])).decode()))
            headers = {"Connection": "close", "Server": "pve-api-daemon/3.0"}
            if body is not None:
                headers |= {"Content-Length": str(len(body)), "Content-Type": "application/json;charset=UTF-8"}
            connection.respond(status, reason, headers, body or b"")
            connection.close_notify()

        upstreams.append(Upstream(at, script, address=address))
        upstreams[-1].__enter__()
        return upstreams[-1].port, asked

    yield start
    for upstream in upstreams:
        upstream.__exit__()


def granted(cert: Cert, **members: Any) -> bytes:
    data = {"ticket": HARD_TICKET, "port": "5901", "cert": cert.ca.read_text(), "upid": "UPID:", "user": "root@pam"}
    return json.dumps({"data": {**data, **members}}).encode()


def console_at(port: int, ca: Path | None, guest: int = NAMED, host: str = "127.0.0.1", **more: Any) -> dict[str, Any]:
    """The options of openConsole."""
    trust = {"ca": ca.read_text()} if ca else {}
    proxmox = {"host": f"{host}:{port}", "token": TOKEN, **trust, **more.pop("proxmox", {})}
    proxmox = {name: value for name, value in proxmox.items() if value is not None}
    return {"proxmox": proxmox, "node": "pve01", "vmid": guest, "type": "qemu", **more}


FORMS: dict[tuple[str, str], dict[str, list[str]]] = {
    ("qemu", "vnc"): {"websocket": ["1"], "generate-password": ["1"]},
    ("lxc", "vnc"): {"websocket": ["1"]},
    ("qemu", "term"): {},
    ("lxc", "term"): {},
}


@pytest.mark.parametrize("type, protocol", FORMS)
def test_asks_what_proxmox_takes_and_seals_what_it_answers(
    library: Library, answering: Callable, cert: Cert, type: str, protocol: str
) -> None:
    password = {"password": "a\"b\\c'd$"} if (type, protocol) == ("qemu", "vnc") else {}
    port, asked = answering(200, "OK", granted(cert, **password))
    began = int(time.time())
    options = console_at(port, cert.ca, type=type, protocol=protocol, sub="alice", title="web 1")
    page, payload, fragment = library.link(options, "openConsole")

    ((start, headers, body),) = asked
    action = "vncproxy" if protocol == "vnc" else "termproxy"
    assert start == f"POST /api2/json/nodes/pve01/{type}/{NAMED}/{action} HTTP/1.1"
    assert headers["authorization"] == f"PVEAPIToken={TOKEN}"
    assert headers["host"] == f"127.0.0.1:{port}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    # Proxmox answers 400 to a parameter that it does not know.
    assert parse_qs(body, strict_parsing=bool(body)) == FORMS[type, protocol]

    assert page == ("novnc.html" if protocol == "vnc" else "xterm.html") and fragment == [("title", "web 1")]
    claims = json.loads(unseal_jwe(payload, KEY)[1])
    assert began + 60 <= claims.pop("exp") <= time.time() + 60 and began <= claims.pop("iat")
    assert 16 <= len(claims.pop("jti")) <= 256
    assert claims.pop("ca").strip() == cert.ca.read_text().strip()
    if protocol == "vnc":
        assert claims.pop("protocol", "vnc") == "vnc"
        assert claims.pop("password") == password.get("password", HARD_TICKET)
    else:
        assert (claims.pop("protocol"), claims.pop("user")) == ("term", "root@pam")
    assert claims == {
        "vmid": NAMED,
        "type": type,
        "host": f"127.0.0.1:{port}",
        "node": "pve01",
        "ticket": f"PVEAPIToken={TOKEN}",
        "vncticket": HARD_TICKET,
        "port": "5901",
        "sub": "alice",
    }


def test_asks_once_more_without_generate_password(library: Library, standin: StandIn, cert: Cert) -> None:
    standin.knows_generate_password = False
    before = len(standin.requests)
    try:
        _, payload, _ = library.link(console_at(standin.port, cert.ca), "openConsole")
    finally:
        standin.knows_generate_password = True
    assert len(standin.requests) == before + 2 and len(library.result("open", payload)["password"]) == 8


def test_the_port_may_be_a_number(library: Library, answering: Callable, cert: Cert) -> None:
    port, _ = answering(200, "OK", granted(cert, port=5901))
    _, payload, _ = library.link(console_at(port, cert.ca), "openConsole")
    assert library.result("open", payload)["port"] == 5901


@pytest.mark.parametrize(
    "status, words, body, reason",
    [
        (401, "permission denied - invalid csrf token", None, "refused"),
        (403, "Permission check failed (/vms/101, VM.Console)", b'{"data":null}', "refused"),
        (400, "Parameter verification failed.", b'{"errors":{"vmid":"no"},"data":null}', "other"),
        (500, "Configuration file 'nodes/pve01/qemu-server/101.conf' does not exist", b'{"data":null}', "noGuest"),
        (596, "Connection timed out", None, "other"),
        (200, "OK", b"<html>", "other"),
        (200, "OK", b'{"data":null}', "other"),
        (200, "OK", b'{"data":{"ticket":"x","port":"0","user":"root@pam"}}', "other"),
        (301, "Moved Permanently", b"", "other"),
    ],
)
def test_refusal(
    library: Library, answering: Callable, cert: Cert, status: int, words: str, body: bytes | None, reason: str
) -> None:
    port, asked = answering(status, words, body)
    error = library.error("openConsole", console_at(port, cert.ca))
    assert (error["name"], error["status"], error["reason"]) == ("ProxmoxError", status, reason)
    assert len(asked) == 1 and (status == 200 or words in error["message"])


def test_wrong_token(library: Library, standin: StandIn, cert: Cert) -> None:
    wrong = TOKEN.replace("6", "7")
    error = library.error("openConsole", console_at(standin.port, cert.ca, proxmox={"token": wrong}))
    assert (error["name"], error["status"], error["reason"]) == ("ProxmoxError", 401, "refused")
    assert "Authentication failed!" in error["message"] and wrong.split("=")[1] not in error["message"]


def test_no_such_guest(library: Library, standin: StandIn, cert: Cert) -> None:
    error = library.error("openConsole", console_at(standin.port, cert.ca, 999))
    assert (error["name"], error["status"], error["reason"]) == ("ProxmoxError", 500, "noGuest")


@pytest.mark.parametrize(
    "host, shown", [("::1", "[::1]:8006"), ("[::1]", "[::1]:8006"), ("127.0.0.1:1", "127.0.0.1:1")]
)
def test_nobody_there(library: Library, cert: Cert, host: str, shown: str) -> None:
    """The last part of an IPv6 address is no port."""
    options = console_at(0, cert.ca, proxmox={"host": host})
    error = library.error("openConsole", options)
    assert (error["name"], error["status"], error["reason"]) == ("ProxmoxError", 0, "unreachable")
    assert shown in error["message"]


def test_ipv6(library: Library, answering: Callable, cert: Cert) -> None:
    port, asked = answering(200, "OK", granted(cert), address="::1")
    _, payload, _ = library.link(console_at(port, cert.ca, host="[::1]"), "openConsole")
    assert asked[0][1]["host"] == f"[::1]:{port}" and library.result("open", payload)["host"] == f"[::1]:{port}"


@pytest.mark.parametrize(
    "option, changed",
    [
        ("host", {"proxmox": {"host": "https://pve01"}}),
        ("token", {"proxmox": {"token": "PVE:alice@pve:1::x"}}),
        ("token", {"proxmox": {"token": "root@pam"}}),
        ("token", {"proxmox": {"ticket": "PVE:alice@pve:1::x", "csrf": "x"}}),
        ("ticket", {"proxmox": {"token": None, "ticket": "alice", "csrf": "x"}}),
        ("csrf", {"proxmox": {"token": None, "ticket": "PVE:alice@pve:1::x"}}),
        ("token", {"proxmox": {"token": "root@pam!a=b\r\nHost: x"}}),
        ("ca", {"proxmox": {"ca": "x"}}),
        ("fingerprint", {"proxmox": {"fingerprint": "a1"}}),
        ("node", {"node": "a/b"}),
        ("node", {"node": "../x"}),
        ("vmid", {"vmid": 99}),
        ("type", {"type": "vm"}),
        ("protocol", {"protocol": "spice"}),
        ("sessionMax", {"sessionMax": -1}),
        ("title", {"title": "a\nb"}),
    ],
)
def test_invalid_option_asks_nothing(
    library: Library, answering: Callable, cert: Cert, option: str, changed: dict[str, Any]
) -> None:
    port, asked = answering(200, "OK", granted(cert))
    error = library.error("openConsole", console_at(port, cert.ca, **changed))
    assert error["name"] == "InvalidOption" and style(error["option"]).rpartition(".")[2] == style(option)
    assert asked == []


@pytest.mark.parametrize("trusts", ["the system's CAs", "another CA", "another fingerprint"])
def test_proxmox_is_verified(
    library: Library, answering: Callable, cert: Cert, tmp_path: Path, trusts: str
) -> None:
    """A server whose certificate is not trusted gets no request, and so no token."""
    port, asked = answering(200, "OK", granted(cert))
    ca = Authority(tmp_path, "another CA").ca if trusts == "another CA" else None
    fingerprint = {"fingerprint": "a1" * 32} if trusts == "another fingerprint" else {}
    error = library.error("openConsole", console_at(port, ca, proxmox=fingerprint))
    assert (error["name"], error["status"], error["reason"]) == ("ProxmoxError", 0, "unreachable")
    assert "certificate" in error["message"].lower() and asked == []


def test_proxmox_is_verified_to_have_the_name(
    library: Library, answering: Callable, authority: Authority, cert: Cert
) -> None:
    port, asked = answering(200, "OK", granted(cert), authority.wrong_name())
    error = library.error("openConsole", console_at(port, cert.ca))
    assert error["reason"] == "unreachable" and asked == []


@pytest.mark.parametrize("colons", [False, True])
def test_fingerprint_is_enough(
    library: Library, answering: Callable, authority: Authority, cert: Cert, colons: bool
) -> None:
    """As for proxxy: whoever signed the certificate, and whatever its name."""
    own = authority.self_signed()
    port, _ = answering(200, "OK", granted(cert), own)
    digits = hashlib.sha256(ssl.PEM_cert_to_DER_cert(own.cert.read_text())).hexdigest().upper()
    text = ":".join(digits[i : i + 2] for i in range(0, 64, 2)) if colons else digits
    _, payload, _ = library.link(console_at(port, None, proxmox={"fingerprint": text}), "openConsole")
    claims = library.result("open", payload)
    assert claims["fingerprint"].replace(":", "").upper() == digits and "ca" not in claims


# --- through proxxy --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standin(standin: StandIn) -> StandIn:
    for type in ("qemu", "lxc"):
        screen = VncConsole(echo, program="QEMU" if type == "qemu" else "vncterm").connect
        standin.add(type, GUEST, screen, terminal=termproxy_console())
    return standin


@pytest.fixture(scope="module")
def proxxy(
    key: str, cert: Cert, standin: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Activator]:
    """Has a token in its cluster file; the CA for openConsole is in the payload."""
    directory = tmp_path_factory.mktemp("clusters")
    (directory / "main.conf").write_text(f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={TOKEN}\nCA_FILE={cert.ca}\n")
    settings = {"SIGNATURE_KEY": f"old:{'00' * 32},{KID}:{key}", "PROXXY_CLUSTER_DIRECTORY": str(directory)}
    with Activator(settings) as proxxy:
        yield proxxy


def refusal(proxxy: Activator, payload: str) -> str:
    """What proxxy answers to a request that is no upgrade."""
    host = f"Host: 127.0.0.1:{proxxy.port}\r\nConnection: close"
    with Client.connect(proxxy.port, raw=f"GET {target(payload)} HTTP/1.1\r\n{host}\r\n\r\n".encode()) as client:
        return client.read_all().decode()


def console_works(proxxy: Activator, payload: str, protocol: str) -> None:
    with Client.upgraded(proxxy.port, target(payload, "/console/ws")) as client:
        if protocol == "vnc":
            shake_hands(client)
            echoes(client)
            return
        client.send_frame(BINARY, b"1:80:24:")
        client.send_frame(BINARY, b"0:14:echo $((6*7))\n")
        data = b""
        while b"42" not in data:
            data += client.read_data(1)


@pytest.mark.parametrize("kid", ["", f"{KID}:"], ids=["no kid", "kid"])
@pytest.mark.parametrize("type, protocol", FORMS)
def test_link_opens_consoles(
    driver: Driver, proxxy: Activator, key: str, kid: str, type: str, protocol: str
) -> None:
    """The browser needs nothing but the link, and may open it again."""
    library = Library(driver, key=f"{kid}{key}" + (f",old:{'00' * 32}\n" if kid else ""))
    _, payload, _ = library.link({"vmid": GUEST, "type": type, "cluster": "main", "protocol": protocol, "sub": "alice"})
    for _ in range(2):
        console_works(proxxy, payload, protocol)


def test_open_console_as_a_user(driver: Driver, proxxy: Activator, standin: StandIn, cert: Cert, key: str) -> None:
    """With a user's own ticket, in place of an API token."""
    user = "root@pam"
    own = {"token": None, "ticket": standin.access.cookie(user), "csrf": standin.access.csrf_token(user)}
    options = console_at(standin.port, cert.ca, GUEST, proxmox=own)
    _, payload, _ = Library(driver, key=key).link(options, "openConsole")
    console_works(proxxy, payload, "vnc")


@pytest.mark.parametrize("type, protocol", FORMS)
def test_open_console_opens_a_console(
    driver: Driver, proxxy: Activator, standin: StandIn, cert: Cert, key: str, type: str, protocol: str
) -> None:
    options = console_at(standin.port, cert.ca, GUEST, type=type, protocol=protocol)
    _, payload, _ = Library(driver, key=key).link(options, "openConsole")
    console_works(proxxy, payload, protocol)
