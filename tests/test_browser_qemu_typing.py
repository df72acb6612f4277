# SPDX-License-Identifier: Apache-2.0
"""The console's typist into a real QEMU: each byte that the guest's keyboard sends, also on a busy machine."""

from __future__ import annotations

import os
import random
import string
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

import pytest

from lib import typist
from lib.process import spawn, stop
from lib.qemu_guest import QemuGuest, read

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
