# SPDX-License-Identifier: Apache-2.0
"""A guest in QEMU that shows each byte of its PS/2 keyboard, and what a keyboard layout makes of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .process import spawn, stop, wait_for
from .xkb import CODES, Keyboard

START_SECONDS = 30.0
READY = b"\0"  # no scan code
EXTENDED, RELEASED = 0xE0, 0x80

# The boot sector: at each interrupt of the keyboard, it copies port 0x60 to port 0xe9, which is QEMU's debugcon.
PROGRAM = bytes.fromhex(
    "fa"  # cli
    "31c0 8ed8 8ed0"  # ax = ds = ss = 0
    "bc007c"  # sp = 0x7c00
    "c7062400 1d7c"  # the handler of interrupt 9, at 0x7c1d
    "a32600"  # in segment 0
    "e6e9"  # READY
    "b0fd e621"  # no other interrupts
    "fb"  # sti
    "f4 ebfd"  # hlt, for ever
    "e460 e6e9"  # 0x7c1d: the byte
    "b020 e620"  # end of interrupt
    "cf"  # iret
)
SECTOR = PROGRAM.ljust(510, b"\0") + b"\x55\xaa"

# A PS/2 keyboard's scan codes (set 1) are Linux's key codes, and XKB's less 8, but for these.
OTHER_SCAN_CODES = {(EXTENDED, 0x38): "AltRight", (0, 0x73): "IntlRo", (0, 0x7D): "IntlYen"}
SCAN_CODES = {(0, keycode - 8): code for code, keycode in CODES.items() if keycode - 8 <= 0x58} | OTHER_SCAN_CODES


class QemuGuest:
    """Runs for as long as the with block lasts. Its VNC server listens on the socket `vnc`, without a password."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.vnc = directory / "vnc"
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> QemuGuest:
        self.directory.mkdir(exist_ok=True)
        # In memory: a guest that waits for a disk loses keys, because a keyboard holds 16 bytes.
        self._bytes = os.memfd_create("keyboard")
        disk = self.directory / "disk"
        disk.write_bytes(SECTOR)
        log = (self.directory / "log").open("wb")
        self._process = spawn(
            [
                *["qemu-system-x86_64", "-nodefaults", "-machine", "pc,accel=tcg", "-m", "16", "-vga", "std"],
                *["-display", "none", "-vnc", f"unix:{self.vnc}", "-debugcon", f"file:/dev/fd/{self._bytes}"],
                *["-drive", f"file={disk},format=raw,if=ide,read-only=off"],
            ],
            stdout=log,
            stderr=log,
            pass_fds=[self._bytes],
        )
        wait_for(self._runs, START_SECONDS, "the guest did not start")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        stop(self._process)
        os.close(self._bytes)

    def _runs(self) -> bool:
        return READY in self._all()

    def _all(self) -> bytes:
        return os.pread(self._bytes, os.fstat(self._bytes).st_size, 0)

    def scan_codes(self) -> bytes:
        """Returns what the keyboard has sent so far. SeaBIOS writes to the same port, before the guest's program."""
        return self._all().partition(READY)[2]


def read(scan_codes: bytes, layout: str) -> tuple[str, set[str]]:
    """Returns what an operating system with this layout of XKB reads, and the keys that are still down."""
    keyboard = Keyboard(layout)
    text, prefix = "", 0
    for byte in scan_codes:
        if byte == EXTENDED:
            prefix = byte
            continue
        text += keyboard.event(SCAN_CODES[prefix, byte & ~RELEASED], not byte & RELEASED)
        prefix = 0
    return text, keyboard.down
