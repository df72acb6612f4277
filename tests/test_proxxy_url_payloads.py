# SPDX-License-Identifier: Apache-2.0
"""proxxy-url: how it makes keys, and seals and explains payloads."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lib.activator import TREE
from lib.payload import seal, seal_jwe
from lib.url_command import UrlCommand
from lib.url_pages import EX_DATAERR, NAMED_KEY

pytest_plugins = "lib.url_pages"

VECTORS, REFUSED = (
    json.loads((TREE / "sdk" / "vectors.json").read_text())[name] for name in ("vectors", "refused")
)
CLUSTER = "HOSTS=pve1.example.com,192.0.2.7:8006\nTOKEN=panel@pve!proxxy=6f1c5bd0\n"


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
    # The old key still opens payloads.
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
    """`open` prints no control characters as text or as JSON. The JSON's value is unchanged."""
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


SECRETS = {"csrf": "…", "password": "…"}
SHORT = {"PVEAPIToken=": "PVEAPIToken=panel@pve!proxxy=…", "PVE:": "PVE:alice@pve…"}


@pytest.fixture
def clusters(tmp_path: Path) -> dict[str, Any]:
    """The environment of a proxxy that has the cluster file main."""
    directory = tmp_path / "clusters"
    directory.mkdir()
    (directory / "main.conf").write_text(CLUSTER)
    return {"PROXXY_CLUSTER_DIRECTORY": directory}


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vectors_of_the_examples_open(command: UrlCommand, vector: dict[str, Any], clusters: dict[str, Any]) -> None:
    """proxxy opens the payloads that the examples in other languages seal, and gets the same content."""
    kid = json.loads(vector.get("header", "{}")).get("kid")
    command.secret("key", f"{kid}:{vector['key']}" if kid else vector["key"])
    explained = json.loads(command.run("open", "--json", input=vector["payload"], **clusters).stdout)
    assert explained["format"] == vector["format"] and explained.get("kid") == kid
    for name, value in vector["claims"].items():
        if name == "host" and not re.search(r":\d+$", value):
            value += ":8006"
        if name == "fingerprint":
            value = value.replace(":", "").lower()
        if name == "ticket" and "vncticket" not in vector["claims"]:
            value = next(short for begin, short in SHORT.items() if value.startswith(begin))
        assert str(explained[name]) == SECRETS.get(name, str(value)), name
    if vector["format"] == "jwe":
        assert re.search("Invalid payload: exp is .* s ahead", explained["verdict"])


@pytest.mark.parametrize("vector", REFUSED, ids=[vector["name"] for vector in REFUSED])
def test_refused_vectors_are_refused(command: UrlCommand, vector: dict[str, Any], clusters: dict[str, Any]) -> None:
    command.secret("key", vector["key"])
    done = command.run("open", input=vector["payload"], **clusters)
    assert done.returncode == EX_DATAERR and done.stderr == ""
    assert re.search(r"^verdict +proxxy refuses it: Invalid payload: .*" + re.escape(vector["why"]), done.stdout, re.M)


# --- payloads without a console ticket ----------------------------------------------------------


def link(**members: Any) -> dict[str, Any]:
    return {"vmid": 100, "type": "qemu", "cluster": "main", **members}


def lines_of(text: str) -> dict[str, str]:
    matches = [re.match(r"(\S+) +(.*)", line) for line in text.splitlines()]
    return {found[1]: found[2] for found in matches}


@pytest.mark.parametrize(
    ("arguments", "given", "lifetime", "jti"),
    [
        ([], {}, 300, False),
        (["--once"], {}, 300, True),
        (["--minutes", "2"], {}, 120, False),
        (["--lifetime", "7", "--once"], {"jti": "mine"}, 7, True),
    ],
)
def test_seal_adds_a_jti_to_a_link_only_with_once(
    command: UrlCommand, arguments: list[str], given: dict[str, Any], lifetime: int, jti: bool
) -> None:
    payload = command.ok("seal", *arguments, input=json.dumps(link(**given)))
    explained = json.loads(command.ok("open", "--json", input=payload))
    assert ("jti" in explained) == jti and explained.get("jti", "") == given.get("jti", explained.get("jti", ""))
    assert abs(explained["iat"] - time.time()) < 5 and explained["exp"] == explained["iat"] + lifetime


def test_seal_of_a_console_ticket_always_adds_a_jti(command: UrlCommand) -> None:
    explained = json.loads(command.ok("open", "--json", input=command.ok("seal", input=json.dumps(details()))))
    assert explained["jti"] and explained["exp"] == explained["iat"] + 60


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"cluster": None}, "cluster is not the name of a cluster file"),
        ({"host": "pve1.example.com"}, "host and cluster cannot be combined"),
        ({"protocol": "spice"}, "protocol is not vnc or term"),
        ({"port": 5900}, "proxxy would refuse this payload: host is not a host name"),
        ({"ca": "-----BEGIN CERTIFICATE-----"}, "proxxy would refuse this payload: ca and fingerprint need a ticket"),
        ({"fingerprint": "ab" * 32}, "proxxy would refuse this payload: ca and fingerprint need a ticket"),
        ({"ticket": "PVE:a@pve:1::c"}, "proxxy would refuse this payload: csrf is missing"),
        ({"ticket": "root@pam!proxxy=6f1c5bd0"}, "an API token without PVEAPIToken= before it"),
    ],
)
def test_seal_refuses_a_link_that_proxxy_would(command: UrlCommand, members: dict[str, Any], words: str) -> None:
    assert words in command.refusal(EX_DATAERR, "seal", input=json.dumps(link(**members)))


def test_old_format_makes_no_link(command: UrlCommand) -> None:
    words = command.refusal(EX_DATAERR, "seal", "--format", "cbc", input=json.dumps(link()))
    assert words.startswith("vncticket and port are missing: proxxy requests a console only for a JWE")


def test_open_explains_a_link(command: UrlCommand, key: str, clusters: dict[str, Any]) -> None:
    now = int(time.time())
    payload = seal_jwe(link(protocol="term", type="lxc", sub="a\x9bé", iat=now), key)
    lines = lines_of(command.ok("open", input=payload, **clusters))
    assert lines["guest"] == "lxc 100; proxxy asks Proxmox for its node"
    assert lines["console"] == "terminal; proxxy requests it from Proxmox and logs in"
    assert lines["cluster"] == "main, hosts pve1.example.com:8006, 192.0.2.7:8006"
    ticket = "none: proxxy uses the token in its cluster file, PVEAPIToken=panel@pve!proxxy=…"
    assert lines["ticket"] == ticket and "host" not in lines and "vncticket" not in lines
    assert lines["sub"] == "a????" and re.search("s (ahead|ago)$", lines["iat"])
    assert lines["jti"] == "none: the link opens a console each time it is used until exp"
    assert (lines["trust"], lines["verdict"]) == ("proxxy's settings", "proxxy accepts it now")
    (clusters["PROXXY_CLUSTER_DIRECTORY"] / "main.conf").write_text(f"{CLUSTER}FINGERPRINTS={'ab' * 32}\n")
    text = command.ok("open", input=seal_jwe(link(node="pve1"), key), **clusters)
    assert "6f1c5bd0" not in text
    assert (lines_of(text)["guest"], lines_of(text)["trust"]) == ("qemu 100 on node pve1", "the cluster file")


@pytest.mark.parametrize("host", ["pve1.example.com", "192.0.2.7:8006"])
def test_open_finds_the_cluster_that_lists_the_host(
    command: UrlCommand, key: str, clusters: dict[str, Any], host: str
) -> None:
    text = command.ok("open", input=seal_jwe(link(cluster=None, host=host), key), **clusters)
    found = host if ":" in host else f"{host}:8006"
    assert (lines_of(text)["host"], lines_of(text)["cluster"]) == (found, f"main, hosts {found}")


@pytest.mark.parametrize("json_too", [False, True], ids=["text", "JSON"])
def test_open_shows_no_secret_of_a_link(
    command: UrlCommand, key: str, clusters: dict[str, Any], json_too: bool
) -> None:
    arguments = ["open", "--json"] if json_too else ["open"]
    user = link(ticket="PVE:alice@pve:65A1B2C3::c2ln", csrf="65A1B2C3:bm8")
    outputs = [
        command.ok(*arguments, input=seal_jwe(payload, key), **clusters)
        for payload in (link(), user, link(ticket="PVEAPIToken=alice@pve!x=6f1c5bd0"), details(password="s3cr3t"))
    ]
    assert "PVE:alice@pve…" in outputs[1] and "PVEAPIToken=alice@pve!x=…" in outputs[2]
    for text in outputs[:3]:
        assert "6f1c5bd0" not in text and "c2ln" not in text and "bm8" not in text
    assert "s3cr3t" not in outputs[3]
    if not json_too:
        assert lines_of(outputs[3])["console"] == "VNC; proxxy logs in"
        assert lines_of(outputs[1])["csrf"] == "… (12 bytes)"


@pytest.mark.parametrize("members", [{}, {"cluster": None, "host": "pve9.example.com"}], ids=["cluster", "host"])
def test_open_where_proxxys_clusters_are_not(command: UrlCommand, key: str, members: dict[str, Any]) -> None:
    """On a backend's machine nobody knows what proxxy has. What is wrong in any case is still said."""
    elsewhere = {"PROXXY_CLUSTER_DIRECTORY": "/nonexistent"}
    verdict = lines_of(command.ok("open", input=seal_jwe(link(**members), key), **elsewhere))["verdict"]
    assert verdict.startswith("proxxy accepts it now, if it has ")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ca": "-----BEGIN CERTIFICATE-----"}, "ca and fingerprint need a ticket in the payload"),
        ({"exp": 1700000000}, "Payload has expired"),
        ({"ticket": "PVE:a@pve:1::c"}, "csrf is missing"),
    ]
    for wrong, words in cases:
        done = command.run("open", input=seal_jwe(link(**members, **wrong), key), **elsewhere)
        assert done.returncode == EX_DATAERR and words in lines_of(done.stdout)["verdict"]


@pytest.mark.parametrize("mode", [0o640, 0o750], ids=["file", "directory"])
def test_open_by_a_user_who_may_not_read_the_cluster_file(key: str, mode: int) -> None:
    """Only proxxy can say whether the file is valid."""
    with tempfile.TemporaryDirectory() as directory:
        theirs = UrlCommand(Path(directory), {}, key=key)
        clusters = Path(directory, "clusters")
        clusters.mkdir()
        (clusters / "main.conf").write_text(CLUSTER)
        environment = theirs.environment(PROXXY_CLUSTER_DIRECTORY=clusters)
        program = shutil.copy(theirs.path, directory)
        for path in (Path(directory), *Path(directory).rglob("*")):
            path.chmod(0o755)
        (clusters / "main.conf" if mode == 0o640 else clusters).chmod(mode)
        payloads: list[dict[str, Any]] = [{}, {"cluster": None, "host": "pve1.example.com"}]
        for members in payloads:
            done = subprocess.run(
                [program, "open"],
                input=seal_jwe(link(**members), key),
                env=environment,
                capture_output=True,
                text=True,
                user=65534,
                group=65534,
                extra_groups=[],
            )
            assert lines_of(done.stdout)["verdict"].startswith("proxxy accepts it now, if it has ")
            assert (done.returncode, done.stderr) == (0, "")


def test_open_says_that_a_link_was_taken_back(command: UrlCommand, key: str, clusters: dict[str, Any]) -> None:
    now = int(time.time())
    for iat, accepted in (now - 20, False), (now, True):
        payload = seal_jwe(link(iat=iat), key)
        done = command.run("open", input=payload, PROXXY_NOT_BEFORE=now - 10, **clusters)
        assert (done.returncode == 0) == accepted
        assert ("it was made before PROXXY_NOT_BEFORE" in lines_of(done.stdout)["verdict"]) != accepted
