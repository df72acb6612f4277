# SPDX-License-Identifier: Apache-2.0
"""proxxy-url makes a link without asking Proxmox: which cluster it names, how long it is valid, and how it is opened in
a browser."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import NAMED, echo
from lib.activator import Activator
from lib.late import computes, echoes, shake_hands
from lib.process import wait_for
from lib.standin import StandIn
from lib.termproxy import termproxy_console
from lib.url_command import UrlCommand, fragment
from lib.url_pages import EX_CONFIG, GUEST, ORIGIN, PAGE, open_page
from lib.vnc_console import VncConsole

pytest_plugins = "lib.url_pages"

EX_OSERR = 71
LINK = ("--vmid", 100)
FILE_SECONDS = 30  # BROWSER_FILE_S in url/browser.h
WAIT_SECONDS = 5  # BROWSER_WAIT_S


@pytest.fixture
def clusters(command: UrlCommand) -> Path:
    """The directory of cluster files, with one file. proxxy's own settings file names it."""
    directory = command.directory / "clusters"
    directory.mkdir()
    (directory / "main.conf").write_text("HOSTS=pve01.example.com\nTOKEN=panel@pve!proxxy=6f1c5bd0\n")
    (command.directory / "proxxy.conf").write_text(f"PROXXY_CLUSTER_DIRECTORY={directory}\n")
    return directory


@pytest.fixture
def claims(command: UrlCommand, clusters: Path) -> Callable[..., dict[str, Any]]:
    """claims(*options) makes a link with them. Returns what it contains."""

    def of(*arguments: Any, **environment: Any) -> dict[str, Any]:
        parts = json.loads(command.ok(*LINK, "--json", *arguments, **environment))
        return json.loads(command.ok("open", "--json", input=parts["payload"]))

    return of


# --- what a link contains -----------------------------------------------------------------------


def test_link_needs_no_network(command: UrlCommand, clusters: Path, standin: StandIn) -> None:
    """A network namespace without an interface replaces the network. The settings for Proxmox are not used."""
    before = len(standin.requests)
    argv = ["unshare", "--net", str(command.path), *map(str, LINK)]
    done = subprocess.run(argv, env=command.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{PAGE}/novnc.html#payload=ey") and done.stderr == ""
    for name in [name for name in command.settings if name.startswith("PROXMOX_")]:
        del command.settings[name]
    command.settings["PROXXY_CA_FILE"] = "/nonexistent"
    assert set(fragment(command.ok(*LINK))) == {"payload"}
    assert len(standin.requests) == before


def test_link_has_the_fewest_claims(claims: Callable[..., dict[str, Any]]) -> None:
    found = claims()
    assert found["exp"] == found["iat"] + 300 and abs(found["iat"] - time.time()) < 5
    assert set(found) == {
        *("format", "accepted", "verdict", "vmid", "type", "cluster", "protocol", "iat", "exp", "origin")
    }
    assert (found["vmid"], found["type"], found["cluster"], found["protocol"]) == (100, "qemu", "main", "vnc")
    assert found["origin"] == ORIGIN["Origin"] and found["accepted"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--type", "lxc"], {"type": "lxc"}),
        (["--term"], {"protocol": "term"}),
        (["--xterm"], {"protocol": "term"}),
        (["--sub", "alice é"], {"sub": "alice é"}),
        (["--client", "192.0.2.0/24"], {"client": "192.0.2.0/24"}),
        (["--session-max", "600"], {"session_max": 600}),
        (["--origin", "https://other.example"], {"origin": "https://other.example"}),
        (["--origin", ""], {"origin": None}),
        (["--cluster", "main", "--node", "pve02"], {"cluster": "main", "node": "pve02"}),
        (["--host", "pve01.example.com"], {"host": "pve01.example.com:8006", "cluster": None}),
        (["--host", "pve01.example.com:8006", "--node", "pve02"], {"node": "pve02", "cluster": None}),
    ],
)
def test_option_becomes_a_claim(
    claims: Callable[..., dict[str, Any]], arguments: list[str], expected: dict[str, Any]
) -> None:
    found = claims(*arguments)
    assert {name: found.get(name) for name in expected} == expected


def test_once_makes_every_link_another(claims: Callable[..., dict[str, Any]]) -> None:
    assert claims("--once")["jti"] != claims("--once")["jti"]


@pytest.mark.parametrize(("arguments", "seconds"), [(["--minutes", "2"], 120), (["--lifetime", "7"], 7)])
def test_lifetime(claims: Callable[..., dict[str, Any]], arguments: list[str], seconds: int) -> None:
    found = claims(*arguments)
    assert found["exp"] - found["iat"] == seconds


def test_lifetime_follows_proxxys_setting(command: UrlCommand, claims: Callable[..., dict[str, Any]]) -> None:
    """By default, proxxy accepts the link. A longer lifetime is warned about, because proxxy may be another machine."""
    settings: dict[str, Any] = {"PROXXY_PAYLOAD_LIFETIME": 60}
    found = claims(**settings)
    assert found["exp"] - found["iat"] == 60
    done = command.run(*LINK, "--minutes", 2, **settings)
    assert done.returncode == 0 and done.stdout.startswith(PAGE)
    words = "proxxy refuses this link unless its PROXXY_PAYLOAD_LIFETIME is at least 120; here it is 60"
    assert done.stderr == f"proxxy-url: warning: {words}\n"


def test_page_gets_the_payload_and_the_title(command: UrlCommand, clusters: Path) -> None:
    url = command.ok(*LINK, "--term", "--title", "Web & mail – 100%")
    assert url.startswith(f"{PAGE}/xterm.html#") and set(fragment(url)) == {"payload", "title"}
    assert fragment(url)["title"] == "Web & mail – 100%"


def test_json_has_every_part(command: UrlCommand, clusters: Path) -> None:
    parts = json.loads(command.ok(*LINK, "--json", "--once", "--cluster", "main", "--node", "pve02"))
    assert parts["url"] == f"{PAGE}/novnc.html#payload={parts['payload']}"
    assert parts["websocket"] == f"wss://panel.example.com/console/ws?payload={parts['payload']}"
    assert parts["exp"] == parts["iat"] + 300 and len(parts["jti"]) > 15
    for name in ("url", "websocket", "payload", "iat", "exp", "jti"):
        del parts[name]
    assert parts == {"vmid": 100, "type": "qemu", "cluster": "main", "node": "pve02", "protocol": "vnc"}
    hosted = json.loads(command.ok(*LINK, "--json", "--host", "pve01.example.com"))
    assert hosted["host"] == "pve01.example.com" and not {"cluster", "node", "jti"} & set(hosted)


def test_page_must_be_set(command: UrlCommand, clusters: Path) -> None:
    del command.settings["PROXXY_PAGE"]
    assert "PROXXY_PAGE is not set. Set it to the URL of the console pages" in command.refusal(EX_CONFIG, *LINK)


# --- through proxxy -----------------------------------------------------------------------------


VM, CONTAINER = 110, 111


@pytest.fixture
def relay(command: UrlCommand, clusters: Path, standin: StandIn, settings: dict[str, Any]) -> Iterator[Activator]:
    """proxxy with the cluster file main, which has a token for the stand-in."""
    for type, vmid in ("qemu", VM), ("lxc", CONTAINER):
        standin.add(type, vmid, VncConsole(echo).connect, terminal=termproxy_console())
    token = standin.access.token("root@pam")
    (clusters / "main.conf").write_text(f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={token}\n")
    with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": clusters}) as relay:
        yield relay


@pytest.mark.parametrize(
    ("where", "times"),
    [
        ([], 2),
        (["--cluster", "main", "--node", "pve01"], 2),
        (["--host", "HOST"], 2),
        (["--once", "--sub", "alice"], 1),
    ],
)
def test_link_opens_consoles_until_it_expires(
    command: UrlCommand, relay: Activator, standin: StandIn, where: list[str], times: int
) -> None:
    """The browser needs no password. With --once, the link opens one console."""
    where = [word.replace("HOST", f"127.0.0.1:{standin.port}") for word in where]
    url = command.ok("--vmid", VM, *where)
    assert set(fragment(url)) == {"payload"}
    for _ in range(times):
        with open_page(relay, url) as client:
            shake_hands(client)
            echoes(client)
    if "--once" in where:
        assert "sub=alice" in relay.wait_log("Session ended")
        with open_page(relay, url) as client:
            assert client.close_code() == (1008, "Payload was used already")


@pytest.mark.parametrize(("type", "vmid"), [("qemu", VM), ("lxc", CONTAINER)])
def test_link_opens_a_terminal(command: UrlCommand, relay: Activator, type: str, vmid: int) -> None:
    """The page sends no login, and sees no OK."""
    with open_page(relay, command.ok("--vmid", vmid, "--type", type, "--term")) as client:
        computes(client)


# --- which cluster ------------------------------------------------------------------------------


def test_cluster_is_the_options_then_the_settings_then_the_only_one(
    command: UrlCommand, clusters: Path, claims: Callable[..., dict[str, Any]]
) -> None:
    (clusters / "b.conf").write_text("HOSTS=b\nTOKEN=a@b!c=d\n")
    (clusters / "main.conf").chmod(0)  # its name is enough
    command.settings["PROXXY_CLUSTER"] = "b"
    assert claims()["cluster"] == "b" and claims("--cluster", "main")["cluster"] == "main"
    assert "cluster" not in claims("--host", "pve01.example.com")
    (clusters / "b.conf").unlink()
    del command.settings["PROXXY_CLUSTER"]
    for name in ("README", ".hidden.conf", "not a name.conf"):
        (clusters / name).write_text("")
    assert claims()["cluster"] == "main"


def test_several_clusters_are_listed(command: UrlCommand, clusters: Path) -> None:
    for name in "za":
        (clusters / f"{name}.conf").write_text("")
    words = f"{clusters} has several cluster files: a, main, z. Choose one with --cluster or PROXXY_CLUSTER"
    assert command.refusal(EX_CONFIG, *LINK) == words


@pytest.mark.parametrize("directory", ["missing", "empty"])
def test_no_cluster(command: UrlCommand, clusters: Path, directory: str) -> None:
    (clusters / "main.conf").unlink()
    if directory == "missing":
        clusters.rmdir()
    words = command.refusal(EX_CONFIG, *LINK)
    assert words.startswith(
        f"there is no cluster file in {clusters}: proxxy-setup makes one. If proxxy runs on another"
    )


def test_cluster_directory_that_cannot_be_read(command: UrlCommand, clusters: Path) -> None:
    """A name that was given is taken: proxxy may read the directory."""
    environment = {"PROXXY_CLUSTER_DIRECTORY": clusters / "main.conf"}
    words = command.refusal(EX_CONFIG, *LINK, **environment)
    assert words == f"{clusters}/main.conf: Not a directory. Name a cluster with --cluster or PROXXY_CLUSTER"
    assert command.ok(*LINK, "--cluster", "main", **environment).startswith(PAGE)


def test_cluster_without_a_file_is_warned_about(command: UrlCommand, clusters: Path) -> None:
    """It may be a credential of proxxy's. Where no cluster has a file, proxxy is another machine."""
    done = command.run(*LINK, "--cluster", "mian")
    assert done.returncode == 0 and done.stdout.startswith(PAGE)
    assert done.stderr == f"proxxy-url: warning: {clusters}/mian.conf does not exist\n"
    (clusters / "main.conf").unlink()
    assert command.ok(*LINK, "--cluster", "mian").startswith(PAGE)


def test_proxxys_settings_are_needed_only_to_find_a_cluster(command: UrlCommand, clusters: Path) -> None:
    wrong = {"PROXXY_CONFIG": clusters}  # a directory, as a file that this user may not read
    assert f"{clusters}: Is a directory" in command.refusal(EX_CONFIG, *LINK, **wrong)
    for where in ["--cluster", "main"], ["--host", "pve01.example.com"]:
        parts = json.loads(command.ok(*LINK, *where, "--json", **wrong))
        assert parts["exp"] - parts["iat"] == 300


# --- Proxmox is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--ask"], ["--ask", "--sub", "alice"]])
def test_node_alone_asks_proxmox(command: UrlCommand, clusters: Path, standin: StandIn, arguments: list[str]) -> None:
    """Command lines of earlier versions do what they did."""
    command.settings["PROXXY_CLUSTER"] = "main"
    before = len(standin.requests)
    assert set(fragment(command.ok(*GUEST, NAMED, *arguments))) == {"payload", "password"}
    assert len(standin.requests) == before + 1


def test_missing_token_leads_to_links(command: UrlCommand, clusters: Path) -> None:
    command.settings["PROXMOX_TOKEN_FILE"] = "/nonexistent"
    words = command.refusal(EX_CONFIG, *GUEST, NAMED)
    assert words.endswith(". Leave out --ask and --node: then proxxy asks Proxmox, with its own token")


# --- a browser ----------------------------------------------------------------------------------


def browser(command: UrlCommand, script: str) -> dict[str, Any]:
    """The environment in which the script plays the browser."""
    program = command.directory / "browser"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return {"BROWSER": program, "XDG_RUNTIME_DIR": command.directory}


def places(command: UrlCommand) -> list[Path]:
    return list(command.directory.glob("proxxy-*"))


@pytest.mark.timeout(90)
def test_browser_gets_a_private_file(command: UrlCommand, clusters: Path) -> None:
    """Arguments of a program can be read by every user, so they do not contain the link. The file is removed, and no
    caller waits for that."""
    seen = command.directory / "seen"
    script = f'stat -c "%a %n" "$1" "$(dirname "$1")" >{seen}; echo "$#" >>{seen}; env >>{seen}; cat "$1" >{seen}.html'
    began = time.monotonic()
    out = command.ok(*LINK, "--open", "--title", 'a"&<b>', **browser(command, script))
    assert out == "" and time.monotonic() - began < WAIT_SECONDS
    [place] = places(command)
    told = seen.read_text()
    assert told.startswith(f"600 {place}/console.html\n700 {place}\n1\n") and "payload" not in told
    page = Path(f"{seen}.html").read_text()
    url = re.search('<a href="([^"]*)">', page)[1].replace("&amp;", "&")
    assert url.startswith(f"{PAGE}/novnc.html#payload=ey") and fragment(url)["title"] == 'a"&<b>'
    assert "location.replace(document.links[0].href)" in page
    wait_for(lambda: not places(command), FILE_SECONDS + 10, "the file is not removed")
    assert time.monotonic() - began > FILE_SECONDS - 1


@pytest.mark.parametrize(
    ("script", "program", "words"),
    [
        ("exit 3", None, "browser opened no browser; BROWSER can name one"),
        ("kill -9 $$", None, "browser opened no browser; BROWSER can name one"),
        ("", "/nonexistent:/bin/true", "/nonexistent: No such file or directory; BROWSER can name a browser"),
    ],
)
def test_browser_that_does_not_start(
    command: UrlCommand, clusters: Path, script: str, program: str | None, words: str
) -> None:
    environment = browser(command, script)
    if program:
        environment["BROWSER"] = program
    assert command.refusal(EX_OSERR, *LINK, "--open", **environment).endswith(words)
    assert places(command) == []


def test_browser_that_stays_is_not_waited_for(command: UrlCommand, clusters: Path) -> None:
    """It has a session of its own: the end of proxxy-url's terminal does not end it."""
    began = time.monotonic()
    pid = command.directory / "pid"
    command.ok(*LINK, "--open", **browser(command, f"echo $$ >{pid}; exec sleep 60 2>/dev/null"))
    assert WAIT_SECONDS <= time.monotonic() - began < WAIT_SECONDS + 5
    left = int(pid.read_text())
    assert os.getsid(left) == left
    os.kill(left, signal.SIGTERM)


def test_xdg_open_is_the_browser_by_default(command: UrlCommand, clusters: Path) -> None:
    bin = command.directory / "bin"
    bin.mkdir()
    (bin / "xdg-open").write_text(f'#!/bin/sh\necho "$1" >{command.directory}/opened\n')
    (bin / "xdg-open").chmod(0o700)
    environment: dict[str, Any] = {"PATH": f"{bin}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": command.directory}
    for browser_is_empty in (False, True):
        if browser_is_empty:
            environment["BROWSER"] = ""
        command.ok(*LINK, "--open", **environment)
        assert re.fullmatch(r".*/proxxy-\w{6}/console\.html\n", (command.directory / "opened").read_text())


def test_open_of_a_console_that_proxmox_was_asked_for(command: UrlCommand) -> None:
    seen = command.directory / "seen"
    command.ok(*GUEST, NAMED, "--open", **browser(command, f'cat "$1" >{seen}'))
    assert "&amp;password=" in seen.read_text()


def test_directory_for_the_file_that_there_is_not(command: UrlCommand, clusters: Path) -> None:
    words = command.refusal(EX_OSERR, *LINK, "--open", BROWSER="/bin/true", XDG_RUNTIME_DIR="/nonexistent")
    assert words == "cannot make a directory in /nonexistent: No such file or directory"
