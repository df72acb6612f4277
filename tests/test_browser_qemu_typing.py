# SPDX-License-Identifier: Apache-2.0
"""Typed text in a real QEMU, from the console's typist alone and from the page in Chromium: each scan code that the
guest gets, also on a busy machine."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import string
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator

import pytest
from selenium import webdriver

from lib import typist
from lib.activator import Activator
from lib.certs import Cert
from lib.console_pages import SCREEN, make_site, wait_connected
from lib.consoles import Connect, Grant
from lib.process import spawn, stop, wait_for
from lib.pve_frames import Stream
from lib.qemu_guest import QemuGuest, read
from lib.rfb import Recorder
from lib.standin import StandIn
from lib.web import Nginx

pytest_plugins = "lib.console_pages"

LENGTH = 2000
TYPE_SECONDS = 240.0
QUIET_SECONDS = 1.0  # QEMU has passed on all that it will
MIXED = string.ascii_letters + string.digits + string.punctuation + " \n"
GERMAN = MIXED + "äöüÄÖÜß€éêàÈ§°²"
WAYS = [("us", "scancodes", MIXED), ("us", "keysyms", MIXED), ("de", "scancodes", GERMAN)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return typist.build("into_qemu", tmp_path_factory.mktemp("typist"))


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Two endless loops for each processor."""
    loops = [spawn([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    yield
    for loop in loops:
        stop(loop)


def received(guest: QemuGuest) -> bytes:
    """Returns the scan codes, once no more come."""
    before = None
    while before != (now := guest.scan_codes()):
        before = now
        time.sleep(QUIET_SECONDS)
    return now


def assert_typed(program: Path, folder: Path) -> None:
    """Types a text in each way at the same time, each into its own guest."""

    def one(number: int) -> tuple[str, str, set[str]]:
        layout, how, characters = WAYS[number]
        text = "".join(random.Random(number).choices(characters, k=LENGTH))
        with QemuGuest(folder / str(number)) as guest:
            typist.run(program, guest.vnc, layout, how, text=text, timeout=TYPE_SECONDS)
            return text, *read(received(guest), layout)

    with ThreadPoolExecutor() as pool:
        for text, got, down in pool.map(one, range(len(WAYS))):
            assert got == text
            assert not down


def test_two_thousand_characters_arrive(program: Path, tmp_path: Path) -> None:
    assert_typed(program, tmp_path)


@pytest.mark.usefixtures("busy_machine")
def test_two_thousand_characters_arrive_on_a_busy_machine(program: Path, tmp_path: Path) -> None:
    assert_typed(program, tmp_path)


@pytest.mark.parametrize("events", [41, 42, 43])
def test_nothing_stays_down_after_a_cancel(program: Path, tmp_path: Path, events: int) -> None:
    """The text's characters need Shift and AltGr in turn, so one of them is down at these events."""
    text = "ABC{}@" * 20
    with QemuGuest(tmp_path / "guest") as guest:
        sent = typist.run(program, guest.vnc, "de", "scancodes", str(events), text=text, timeout=TYPE_SECONDS)
        got, down = read(received(guest), "de")
    assert got and text.startswith(got)
    assert not down
    assert events < sent["events"] <= events + 2


STALL_AFTER = 2000  # bytes: about 160 key events
STALL_SECONDS = 8.0  # 533 events at the typist's pace, which are more than QEMU keeps


def stalling_network(path: Path, guest: QemuGuest) -> Callable[[], None]:
    """Listens on a socket for one client of the guest's VNC server. Once, it keeps back for a while what the client
    sends. The function that it returns passes on the data until the client ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def forward(source: socket.socket, sink: socket.socket, stall: bool) -> None:
        passed = 0
        while data := source.recv(4096):
            if stall and passed < STALL_AFTER <= passed + len(data):
                time.sleep(STALL_SECONDS)
            passed += len(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def run() -> None:
        with listener, listener.accept()[0] as client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(guest.vnc))
            with ThreadPoolExecutor() as pool:
                answers = pool.submit(forward, server, client, False)
                forward(client, server, True)
                answers.result()

    return run


def test_network_that_stalls_loses_nothing(program: Path, tmp_path: Path) -> None:
    """The keys that were sent meanwhile come all at once."""
    text = "".join(random.Random(5).choices(MIXED, k=400))
    with QemuGuest(tmp_path / "guest") as guest, ThreadPoolExecutor() as pool:
        network = pool.submit(stalling_network(tmp_path / "network", guest))
        sent = typist.run(program, tmp_path / "network", "us", "scancodes", text=text, timeout=TYPE_SECONDS)
        network.result()
        got, down = read(received(guest), "us")
    assert got == text
    assert not down
    assert sent["milliseconds"] > 1000 * STALL_SECONDS


def qemu_console(guest: QemuGuest) -> Connect:
    async def connect(_: Grant) -> Stream:
        return Stream(*await asyncio.open_unix_connection(guest.vnc))

    return connect


TYPE = """
    const [text, layout] = arguments;
    const stop = new AbortController();
    window.typing = { done: 0, stop, end: null };
    const progress = (done) => (window.typing.done = done);
    document.querySelector("proxxy-console").type(text, { layout, progress, signal: stop.signal })
        .then(() => "typed", (error) => error.name)
        .then((end) => (window.typing.end = end));
"""


@pytest.fixture
def guest(
    browser: webdriver.Remote, relay: Activator, standin: StandIn, cert: Cert, key: str, tmp_path: Path
) -> Iterator[QemuGuest]:
    """QEMU's screen in Chromium, through proxxy."""
    with Nginx(relay.port) as web, QemuGuest(tmp_path / "guest") as guest:
        site = make_site(web, relay, standin, Recorder(), cert, key)
        standin.add("qemu", SCREEN, qemu_console(guest))
        browser.get(site.desktop())
        wait_connected(browser, site)
        yield guest


def wait_typing(browser: webdriver.Remote, what: str) -> str:
    return wait_for(lambda: browser.execute_script(f"return window.typing.{what}"), TYPE_SECONDS, "nothing is typed")


@pytest.mark.usefixtures("busy_machine")
def test_page_types_two_thousand_characters(browser: webdriver.Remote, guest: QemuGuest) -> None:
    text = "".join(random.Random(3).choices(GERMAN, k=LENGTH))
    browser.execute_script(TYPE, text, "de")
    assert wait_typing(browser, "end") == "typed"
    assert read(received(guest), "de") == (text, set())


def test_page_releases_all_after_a_cancel(browser: webdriver.Remote, guest: QemuGuest) -> None:
    text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 10
    browser.execute_script(TYPE, text, "us")
    wait_typing(browser, "done > 50")
    browser.execute_script("window.typing.stop.abort()")
    assert wait_typing(browser, "end") == "AbortError"
    got, down = read(received(guest), "us")
    assert text.startswith(got) and 50 < len(got) < len(text)
    assert not down


def test_page_releases_all_when_the_console_ends(browser: webdriver.Remote, guest: QemuGuest) -> None:
    text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 10
    browser.execute_script(TYPE, text, "us")
    wait_typing(browser, "done > 50")
    browser.execute_script("document.querySelector('proxxy-console').disconnect()")
    assert wait_typing(browser, "end") == "AbortError"
    got, down = read(received(guest), "us")
    assert text.startswith(got)
    assert not down
