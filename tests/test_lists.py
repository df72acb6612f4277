# SPDX-License-Identifier: Apache-2.0
"""Settings, claims, outcomes, record fields, page sentences and reverse proxies: each is in several files, and no file
leaves one out. HACKING.md has the list of the files."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lib.activator import TREE
from lib.url_command import UrlCommand


def read(path: str) -> str:
    """A file's text, with continued lines joined."""
    return re.sub(r"\\\n\s*", "", (TREE / path).read_text())


def code(*patterns: str) -> str:
    """C files without comments, with adjacent strings joined."""
    files = [path.read_text() for pattern in patterns for path in sorted(TREE.glob(pattern))]
    assert files, patterns
    token = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|/\*.*?\*/"""
    return re.sub(r'(?<!\\)"\s+"', "", re.sub(token, lambda found: found[1] or " ", "\n".join(files), flags=re.S))


def python_tests() -> str:
    """All tests but this file."""
    return "\n".join(path.read_text() for path in sorted((TREE / "tests").glob("*.py")) if path != Path(__file__))


def value_of(pattern: str, text: str) -> str:
    """The group of the pattern's first match."""
    found = re.search(pattern, text, re.M)
    assert found, pattern
    return found[1]


def section(text: str, title: str) -> str:
    """A section or subsection of a manual page."""
    assert f"\n.S{title}\n" in text, title
    return re.split(r"\n\.S[hs] ", text.partition(f"\n.S{title}\n")[2])[0]


SESSION_SOURCES = [
    str(path.relative_to(TREE)) for pattern in ("*.c", "lib/*.c", "session/*.c") for path in sorted(TREE.glob(pattern))
]
CONN_8 = read("man/proxxy-conn.8")


# --- settings ---------------------------------------------------------------------------------
# test_manuals.py shows that the program and the manual have the same settings.

CONFIG = code("lib/config.c")
SETTINGS = dict(re.findall(r'\{\s*"([A-Z_]+)",\s*("[^"]*"|\w+),', CONFIG))
SETTING_MEMBERS = set(re.findall(r"(?:NUMBER|MEMBER)\((\w+)\)", CONFIG)) - {"member"}
WITHOUT_A_SESSION = {"port"}  # deploy/proxxy reads it
LIMITS = {"max_sessions", "max_per_client", "max_per_guest", "max_per_sub", "new_per_minute"}
# Settings that the session's fuzz target does not choose: the directory of used jti; Proxmox's address and the
# verification of TLS, which the target's own upstream replaces; limits, whose results it chooses.
NOT_FUZZED = {"allowed_hosts", "ca_file", "fingerprints", "n_fingerprints", "port", "state_directory", *LIMITS}


def test_settings_are_found() -> None:
    assert len(SETTINGS) > 15 and len(SETTING_MEMBERS) > 10


@pytest.mark.parametrize("name", SETTINGS)
def test_manual_has_the_settings_default(name: str) -> None:
    default = SETTINGS[name].strip('"') if SETTINGS[name].startswith('"') else "signature.key"
    item = read("man/proxxy.conf.5").partition(f"\n.It Ev {name}\n")[2].partition("\n.It ")[0]
    assert re.search(rf"Default:.*{re.escape(default)}", item, re.S) or not default


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_is_tested(name: str) -> None:
    """A unit test shows how its value is read, and a test in Python shows its effect."""
    assert re.search(rf"\b{name}\b", code("tests/unit/lib/test_config*.c"))
    assert re.search(rf"\b{name}\b", python_tests())


@pytest.mark.parametrize("member", sorted(SETTING_MEMBERS - WITHOUT_A_SESSION))
def test_setting_has_an_effect(member: str) -> None:
    users = "".join(code(path) for path in SESSION_SOURCES if path != "lib/config.c")
    assert re.search(rf"(?:\.|->){member}\b", users)


def test_fuzzed_session_has_every_setting() -> None:
    struct = re.sub(r"\[[^]]*\]", "", code("lib/config.h").partition("struct config {")[2].partition("};")[0])
    members = re.findall(r"\b(\w+)[,;]", struct)
    target = re.search(r"^int __wrap_config_load\([^)]*\)\n\{(.*?)^\}", code("tests/fuzz/session/*.c"), re.M | re.S)
    assert target and len(members) > 15
    assert set(members) - set(re.findall(r"(?:\.|->)(\w+)", target[1])) == NOT_FUZZED


# --- payloads ---------------------------------------------------------------------------------

PAYLOAD = code("lib/payload.c")


def members_of(function: str) -> set[str]:
    body = PAYLOAD.partition(f"static const char *{function}(")[2].partition("\n}")[0]
    return set(re.findall(r'object,\s*"(\w+)"', body))


MEMBERS = set.union(*map(members_of, ("read_console", "read_host", "read_console_ticket", "read_login")))
CLAIMS = members_of("read_claims") | set(re.findall(r'get_ex\(object,\s*"(\w+)"', PAYLOAD))
DETAILS: dict[str, Any] = {
    "vmid": 100, "type": "qemu", "host": "pve1.example.com:8006", "node": "pve1", "ticket": "PVEAPIToken=a@pve!b=c",
    "vncticket": "PVEVNC:d", "port": 5900,
}  # fmt: skip
# Payloads that together have every member.
WITH_PASSWORD: dict[str, Any] = DETAILS | {"password": "s3cr3t&p"}
WITH_USER: dict[str, Any] = DETAILS | {"protocol": "term", "user": "a@pve!b"}
WITHOUT_CONSOLE_TICKET: dict[str, Any] = {
    "vmid": 100, "type": "lxc", "cluster": "dc1", "node": "pve1", "ticket": "PVE:a@pve:c", "csrf": "d",
    "protocol": "term",
}  # fmt: skip
PAYLOADS = [WITH_PASSWORD, WITH_USER, WITHOUT_CONSOLE_TICKET]
# A value for each claim that proxxy accepts.
VALUES: dict[str, Any] = {
    "exp": int(time.time()) + 200,
    "nbf": int(time.time()) - 10,
    "iat": int(time.time()) - 9,
    "sub": "customer-7",
    "jti": "4c1b2f7e",
    "origin": "https://panel.example.com",
    "client": "192.0.2.0/24",
    "fingerprint": "ab" * 32,
    "session_max": 60,
    "ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}
REQUIRED = {"exp"}


@pytest.fixture
def command(tmp_path: Path, key: str) -> UrlCommand:
    return UrlCommand(tmp_path, {}, key=key)


def test_members_and_claims_are_found() -> None:
    assert MEMBERS == set().union(*PAYLOADS) and CLAIMS == set(VALUES)


def test_manual_has_every_member_and_claim() -> None:
    items = re.findall(r"^\.It Li (\w+)$", read("man/proxxy-payload.7"), re.M)
    assert sorted(items) == sorted(MEMBERS | CLAIMS)


@pytest.mark.parametrize("payload", PAYLOADS, ids=["password", "user", "without console ticket"])
def test_open_prints_every_member_and_claim(command: UrlCommand, payload: dict[str, Any]) -> None:
    details = payload | VALUES
    shown = json.loads(command.ok("open", "--json", input=command.ok("seal", input=json.dumps(details))))
    hidden = {"csrf": "…", "password": "…"} | ({} if "vncticket" in payload else {"ticket": "PVE:a@pve…"})
    details |= {name: text for name, text in hidden.items() if name in details}
    assert {name: shown.get(name) for name in details} == details
    assert set(shown) - set(details) == {"format", "accepted", "verdict"}


@pytest.mark.parametrize("claim", sorted(CLAIMS - REQUIRED - {"jti"}))
def test_open_explains_every_claim(command: UrlCommand, claim: str) -> None:
    """Without --json the output changes with the claim. jti is left out, because seal always adds one."""
    details = DETAILS | {"exp": VALUES["exp"], "jti": VALUES["jti"]}
    explained = [
        re.sub(r"\d+ s (ahead|ago)", "", command.ok("open", input=command.ok("seal", input=json.dumps(text))))
        for text in (details, details | {claim: VALUES[claim]})
    ]
    assert explained[0] != explained[1]


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_claim_has_vectors_and_tests(claim: str) -> None:
    assert any(claim in vector["claims"] for vector in json.loads(read("sdk/vectors.json"))["vectors"])
    assert re.search(rf'"{claim}":|\b{claim}=', python_tests())
    assert re.search(rf"\b{claim}\b", code("tests/unit/lib/test_payload*.c"))


def test_claims_members_are_obeyed() -> None:
    """The session uses each member that is read from a payload. The parser and proxxy-url do not count."""
    struct = code("lib/payload.h").partition("struct claims {")[2].partition("};")[0]
    members = re.findall(r"\b(\w+)(?:\[[^]]*\])?;", struct)
    session = code("lib/access.c", "session/*.c", "proxxy-conn.c")
    assert len(members) >= len(CLAIMS)
    wiped = re.sub(r"free\(.*?\);", "", session)
    assert [name for name in members if not re.search(rf"\b(?:claims|c)(?:\.|->){name}\b", wiped)] == []


@pytest.mark.parametrize("name", sorted(MEMBERS | CLAIMS))
def test_fuzzer_knows_every_member_and_claim(name: str) -> None:
    assert f'"\\"{name}\\":' in read("tests/fuzz/dictionaries/payload.dict")


# --- proxxy-url's options ---------------------------------------------------------------------

VALUE_OF = {
    "qemu|lxc": "qemu", "jwe|cbc": "jwe", "SECONDS": "60", "ORIGIN": "https://a.example", "ADDRESS": "192.0.2.1",
    "TEXT": "text", "NODE": "pve1", "VMID": "100", "NAME": "dc1", "HOST": "pve1", "MINUTES": "5",
}  # fmt: skip
OF_COMMANDS: dict[str, set[str]] = {
    "seal": {"format", "lifetime", "minutes", "once"}, "open": {"json"}, "keygen": set(),
}  # fmt: skip


def test_commands_refuse_options_of_others(command: UrlCommand) -> None:
    """A command refuses an option that it does not know. The options for claims are refused for a cbc payload."""
    options = dict(re.findall(r"--([a-z-]+)(?: ([A-Zjq][\w|]*))?", command.ok("--help")))
    names = set(re.findall(r'\{\s*"([a-z-]+)",\s*(?:required|no)_argument', code("url/options.c")))
    assert set(options) == names and len(names) > 12
    for name in sorted(names - {"help", "version", "settings"}):
        arguments = [f"--{name}", VALUE_OF[options[name]]] if options[name] else [f"--{name}"]
        for word, known in OF_COMMANDS.items():
            if name not in known:
                assert command.refusal(os.EX_USAGE, word, *arguments), (word, name)
        if name.replace("-", "_") in CLAIMS | {"lifetime"}:
            why = command.refusal(os.EX_USAGE, "--node", "a", "--vmid", "1", "--format", "cbc", *arguments)
            assert f"--{name}" in why


# --- outcomes ---------------------------------------------------------------------------------


class Outcome(NamedTuple):
    code: str
    name: str
    http_status: int
    close_code: int
    exit_status: int
    priority: str
    words: str


def outcomes() -> list[Outcome]:
    row = r'\{\s*(\w+),\s*\{\s*"([a-z0-9-]+)",\s*(\d+),\s*(\d+),\s*(\w+),\s*(LOG_\w+),\s*"([^"]*)"\s*\}\s*\}'
    return [
        Outcome(code_, name, int(http), int(close), getattr(os, status) if status != "0" else 0, priority, words)
        for code_, name, http, close, status, priority, words in re.findall(row, code("lib/error.c"))
    ]


OUTCOMES = [outcome for outcome in outcomes() if outcome.code != "OK"]
CODES = re.findall(r"\b((?:END|ERR)_\w+) = -\d+", code("lib/error.h"))


def test_every_code_has_its_row() -> None:
    """A code without a row would be reported as an internal error."""
    assert len(CODES) > 35 and sorted(outcome.code for outcome in OUTCOMES) == sorted(CODES)
    assert len({outcome.name for outcome in OUTCOMES}) == len(OUTCOMES)


@pytest.mark.parametrize("name", CODES)
def test_every_code_is_used(name: str) -> None:
    assert re.search(rf"\b{name}\b", "".join(code(path) for path in SESSION_SOURCES if path != "lib/error.c"))


def numbers(title: str) -> set[int]:
    """The numbers that are items in a section of proxxy-conn(8)."""
    lines = re.findall(r"^\.It (?:Li )?([\d ,]+)$", section(CONN_8, title), re.M)
    return {int(number) for line in lines for number in re.findall(r"\d+", line)}


def test_manual_has_every_status_and_code() -> None:
    assert numbers("s Errors") == {outcome.http_status for outcome in OUTCOMES if outcome.http_status}
    # 1009 is for a request that is too large. It is refused before authentication, so without a Close.
    assert numbers("s Close codes") == {outcome.close_code for outcome in OUTCOMES} - {1009}
    others = {os.EX_OK, os.EX_USAGE, os.EX_SOFTWARE}  # done, no session, and a code without a row
    assert numbers("h EXIT STATUS") == {outcome.exit_status for outcome in OUTCOMES} | others


def test_unit_knows_which_exits_are_no_failures() -> None:
    """The unit fails only for errors of proxxy or of this machine."""
    listed = value_of(r"^SuccessExitStatus=(.*)$", read("proxxy@.service")).split()
    good = {outcome.exit_status for outcome in OUTCOMES if outcome.priority != "LOG_ERR"} - {0}
    assert {getattr(os, f"EX_{name}") for name in listed} == good
    assert not good & {outcome.exit_status for outcome in OUTCOMES if outcome.priority == "LOG_ERR"}


# Outcomes with an HTTP status are refusals. These outcomes can also end a session.
OF_BOTH = {"terminated", "host-forbidden", "system", "internal"}
# These outcomes have no row with an HTTP status, but can end a request. A code without a row is "internal".
ALSO_REFUSED = {"client-gone", "internal"}


def test_catalog_explains_every_outcome() -> None:
    ids = dict(re.findall(r'#define ID_(\w+) "(\w+)"', read("session/log.c")))
    records = dict(re.findall(r"^-- (\w+)\n(.*?)(?=^-- |\Z)", read("deploy/proxxy.catalog"), re.M | re.S))
    assert set(records) == set(ids.values())
    for which, expected in (
        ("END", {outcome.name for outcome in OUTCOMES if not outcome.http_status} | OF_BOTH),
        ("REFUSED", {outcome.name for outcome in OUTCOMES if outcome.http_status} | ALSO_REFUSED),
    ):
        explained = records[ids[which]].partition("PROXXY_OUTCOME:\n")[2]
        heads = re.findall(r"^\n((?:[a-z0-9-]+,\s)*[a-z0-9-]+): ", explained, re.M)
        assert {name for head in heads for name in re.split(r",\s", head)} == expected, which


def strings() -> list[str]:
    """The strings in the sources of proxxy-conn."""
    token = r"""'(?:[^'\\]|\\.)'|"((?:[^"\\]|\\.)*)\""""  # a character constant may be a quotation mark
    return [text for text in re.findall(token, code("lib/*.c", "session/*.c", "proxxy-conn.c")) if text]


def is_said(quote: str) -> bool:
    """Whether the quote is an outcome's words, a detail, or both. Proxmox's status and phrase may come between them."""
    words = max((outcome.words for outcome in OUTCOMES if quote.startswith(outcome.words)), key=len, default="")
    detail = re.sub(r"^:(?: (?:\d{3}\b ?…?)?)?", "", quote[len(words) :])
    pattern = ".+".join(map(re.escape, detail.split("…"))) + r"(?=$|[,:;])"
    return not detail or any(re.match(pattern, text) for text in strings())


def test_documents_quote_what_proxxy_says() -> None:
    rows = re.findall(r"^\| ((?:HTTP|Close|…) .*?) \|", read("docs/troubleshooting.md"), re.M)
    quotes = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]
    for title in ("s Errors", "s Close codes"):
        lines = re.findall(r"^\.Li (.*)$", section(CONN_8, title), re.M)
        quotes += [quote for line in lines for quote in line.split(" , ") if re.match(r"[A-Z][a-z]+[: ]", quote)]
    assert len(quotes) > 20
    assert [quote for quote in quotes if not is_said(re.sub(r" [,.:;]$", "", quote))] == []


# --- records ----------------------------------------------------------------------------------

LOG = code("session/log.c")
FIELDS = set(re.findall(r'\badd(?:_claim)?\(&?r,\s*"([A-Z_]+)=', LOG))


def test_manual_has_every_field() -> None:
    items = re.findall(r"^\.It Li (PROXXY_.*)$", section(CONN_8, "h DIAGNOSTICS"), re.M)
    fields = [name for item in items for name in item.split(" , ")]
    assert sorted(fields) == sorted(name for name in FIELDS if name.startswith("PROXXY_")) and len(fields) > 10


def test_catalog_asks_for_no_other_field() -> None:
    assert set(re.findall(r"@([A-Z_]+)@", read("deploy/proxxy.catalog"))) <= FIELDS


def test_every_field_fits_into_a_record() -> None:
    """log.c drops fields that do not fit."""
    assert len(FIELDS) <= int(value_of(r"FIELDS_MAX = (\d+)", LOG))


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_field_is_tested(field: str) -> None:
    """A test names the field as in the journal, or as in a line of the log."""
    line = field.removeprefix("PROXXY_").lower()
    assert re.search(rf"\b{field}\b|\b{line}=|[\"']{line}[\"']", python_tests() + code("tests/fuzz/session/*.c"))


# --- the console pages' sentences -------------------------------------------------------------

SENTENCES = re.findall(r'^  \[\s*/(.+)/,\s*"(.+)",?\s*\],$', read("console/src/endings.ts"), re.M)
# Outcomes that the console pages do not cause, or that come after the page has left.
NOT_FOR_PAGES = {
    "client-closed", "client-gone", "client-protocol", "client-utf8", "request-malformed", "request-timeout",
    "request-version", "method", "websocket-version", "websocket-key", "subprotocol", "payload-twice",
}  # fmt: skip


def test_every_outcome_has_a_sentence() -> None:
    def said(outcome: Outcome) -> bool:
        return any(re.search(pattern, outcome.words + more) for pattern, _ in SENTENCES for more in ("", ": 500"))

    assert len(SENTENCES) > 15
    assert {outcome.name for outcome in OUTCOMES if not said(outcome)} <= NOT_FOR_PAGES
    assert NOT_FOR_PAGES <= {outcome.name for outcome in OUTCOMES}


def test_every_sentence_has_its_words() -> None:
    """Each alternative of each pattern matches words of proxxy or of a page. If those change, the pattern must too."""
    words = [outcome.words + more for outcome in OUTCOMES for more in ("", ": detail")]
    guests = code("console/src/vnc/*.ts") + code("console/src/terminal/*.ts")
    pages = re.findall(r'"([^"\n]*)"', guests + code("console/src/refusal.ts"))
    told = words + strings() + pages + ["Proxmox: 401", "Proxmox: 403"]  # upstream.c puts Proxmox's status there
    parts = [part for pattern, _ in SENTENCES for part in pattern.split("|")]
    assert [part for part in parts if not any(re.search(part, text) for text in told)] == []


def test_every_sentence_is_in_the_language_files() -> None:
    english = json.loads(read("console/languages/en.json"))
    assert {word for _, word in SENTENCES} <= set(english)


# --- reverse proxies --------------------------------------------------------------------------

FRONTS = value_of(r"^FRONTS := (.*)$", read("Makefile")).split()
NOT_RUN = {"traefik.yaml"}  # Debian has no Traefik; a test checks its YAML


def test_configurations_of_reverse_proxies_are_installed_documented_and_tested() -> None:
    files = [path for path in (TREE / "deploy").iterdir() if path.is_file()]
    assert sorted(FRONTS) == sorted(path.name for path in files if "/console/ws" in path.read_text())
    assert "$(FRONTS)" in value_of(r"^EXAMPLES := (.*)$", read("Makefile")).split()
    classes = re.findall(r"^class (\w+)\(.*?(?=^class |\Z)", read("tests/lib/web.py"), re.M | re.S)
    for name in FRONTS:
        assert f"deploy/{name}" in read("docs/reverse-proxies.md")
        assert name in NOT_RUN or f'shipped("{name}")' in read("tests/lib/web.py")
    params = re.findall(r"params=\[(.*?)\]", python_tests())
    assert len(classes) == len(set(FRONTS) - NOT_RUN)
    assert any(set(classes) == set(listed.split(", ")) for listed in params)


# --- fuzz targets -----------------------------------------------------------------------------


def test_fuzz_targets_are_run_and_have_inputs() -> None:
    rules = read("tests/fuzz/rules.mk")
    targets = value_of(r"^FUZZ_TARGETS := (.*)$", rules).split()
    assert targets == value_of(r"^all='(.*)'$", read("tests/fuzz/run")).split() and len(targets) >= 5
    sources = [path.stem.removeprefix("fuzz_") for path in (TREE / "tests/fuzz").rglob("fuzz_*.c")]
    assert sorted(sources) == sorted(targets)
    for target in targets:
        assert (TREE / f"tests/fuzz/dictionaries/{target}.dict").is_file()
        assert any((TREE / f"tests/fuzz/corpus/{target}").iterdir())


# --- programs, units and libraries ------------------------------------------------------------


def test_manuals_have_every_environment_variable() -> None:
    for program, page, sources in (
        ("proxxy-conn", "man/proxxy-conn.8", ("proxxy-conn.c", "lib/*.c", "session/*.c")),
        ("proxxy-url", "man/proxxy-url.1", ("url/*.c",)),
        ("proxxy-setup", "man/proxxy-setup.8", ("setup/*.c",)),
    ):
        documented = re.findall(r"^\.It Ev (.*)$", section(read(page), "h ENVIRONMENT"), re.M)
        known = set(SETTINGS) | {name for item in documented for name in item.split(" , ")}
        asked = set(re.findall(r'getenv\("(\w+)"\)', code(*sources)))
        assert asked and asked - known == set(), program


def test_manuals_have_every_option_without_a_console() -> None:
    options = set(re.findall(r'strcmp\(argv\[1\], "--([a-z-]+)"\)', code("session/options.c")))
    assert options == set(re.findall(r"^\.It Fl -([a-z-]+)$", CONN_8, re.M)) and len(options) == 4
    assert options == set(re.findall(r"^ *--([a-z-]+)  ", code("session/options.c").replace("\\n", "\n"), re.M))


def test_manual_has_every_metric_and_member_of_the_status() -> None:
    status, manual = code("status/*.c"), read("man/proxxy-status.8")
    metrics = set(re.findall(r'"(proxxy_[a-z_]+)"', status))
    members = set(re.findall(r'json_object_object_add\(\w+,\s*"(\w+)"', status))
    assert len(metrics) == 13 and len(members) > 10
    assert metrics == set(re.findall(r"\bproxxy_[a-z_]+\b", manual))
    assert [name for name in members if f'"{name}":' not in manual and f".It Li {name}\n" not in manual] == []


def test_every_unit_is_installed() -> None:
    units = {path.name for kind in ("service", "socket", "slice") for path in TREE.glob(f"*.{kind}")}
    makefile = re.sub(r"\\\n\s*", "", read("Makefile"))
    assert set(value_of(r"^UNITS := (.*)$", makefile).split()) == units and len(units) > 5


DEVELOPMENT = {  # pkg-config's name: Debian's package
    "openssl": "libssl-dev", "libsystemd": "libsystemd-dev", "json-c": "libjson-c-dev",
    "libcurl": "libcurl4-openssl-dev", "libseccomp": "libseccomp-dev",
}  # fmt: skip


def test_image_has_the_libraries_of_proxxy_conn() -> None:
    dockerfile = read("deploy/Dockerfile")
    libraries = value_of(r"PACKAGES='(.*?)'", dockerfile).split()
    libraries += value_of(r"^BUILD_PACKAGES := (.*)$", read("Makefile")).split()
    assert libraries and [DEVELOPMENT[name] for name in libraries if DEVELOPMENT[name] not in dockerfile.split()] == []


@pytest.mark.parametrize("file", ["debian/control", "tests/install-packages", "deploy/Dockerfile"])
def test_hiredis_is_installed_for_a_build(file: str) -> None:
    """Without its headers proxxy builds too, but cannot use a shared store."""
    assert "libhiredis-dev" in re.split(r"[\s,'=]+", read(file))


@pytest.mark.parametrize("file", ["debian/control", "tests/install-packages"])
def test_every_library_is_installed_for_a_build(file: str) -> None:
    libraries = [value_of(rf"^{name} := (.*)$", read("Makefile")) for name in ("PACKAGES", "BUILD_PACKAGES")]
    assert " ".join(libraries).split() == list(DEVELOPMENT)
    words = re.split(r"[\s,'=]+", read(file).replace(":native", ""))
    assert [name for name in DEVELOPMENT.values() if name not in words] == []


def test_every_constant_of_the_filters_is_compared_with_the_targets() -> None:
    """make_filters may run on a machine with other values than those of the processor that it makes filters for."""
    found = re.findall(r"\b[A-Z][A-Z0-9_]+\b", code("filter/opening.c", "filter/relaying.c", "filter/rules.h"))
    used = {name for name in found if not name.startswith(("SCMP_", "FILTER_", "PROXXY_")) and name != "COUNT"}
    values = code("filter/values.h").partition("#define FILTER_VALUES(value)")[2]
    assert used and used == set(re.findall(r"\bvalue\((\w+)\)", values))


def test_sessions_get_the_same_tunables_from_whoever_starts_them() -> None:
    """glibc reads them only from the environment: the unit, xinetd's service and proxxy-listen set them."""
    pattern = r"""GLIBC_TUNABLES(?:=|", ")([a-z0-9._=:]+)"""
    found = [value_of(pattern, read(file)) for file in ("proxxy@.service", "deploy/proxxy.xinetd", "listen/sessions.c")]
    assert len(set(found)) == 1, found


def test_every_example_is_in_the_package_and_documented() -> None:
    languages = {path.name for path in (TREE / "examples").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {line.removeprefix("examples/") for line in read("debian/examples").split()} >= languages
    readme = read("examples/README.md")
    assert len(languages) > 4 and [name for name in languages if f"{name}/" not in readme] == []
