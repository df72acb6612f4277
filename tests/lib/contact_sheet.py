# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/: console.png, a desktop, and console-states.png, the pages' states on one sheet. In
tests/, "python3 -m lib.contact_sheet" does it, after "make console"."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from PIL import Image, ImageDraw, ImageFont

from .activator import TREE
from .pictures import DRAWN_SECONDS, SIZES, TOUCH, Scene, scene, take, window
from .process import spawn, stop

DOCS = TREE / "docs"
DESKTOP = (1280, 800)
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
GROUND, WORDS = (0xF3, 0xF5, 0xF8), (0x3A, 0x44, 0x52)
WIDTH, GAP, CAPTION = 1900, 24, 30  # pixels
COLOURS = 256
LOG = """\
Nov 02 10:14:58 web-01 systemd[1]: Starting nginx.service...
Nov 02 10:14:58 web-01 nginx[901]: configuration is valid
Nov 02 10:14:59 web-01 systemd[1]: Started nginx.service.
Nov 02 10:15:03 web-01 postgres[814]: ready for connections
Nov 02 10:15:11 web-01 sshd[1033]: session opened for root
"""
# Rows of a sheet: state, size, colours, caption.
ROWS = (
    (
        ("resized", "wide", "light", "Desktop, 1440 × 900"),
        ("terminal", "medium", "dark", "Terminal, 1024 × 768"),
    ),
    (
        ("type", "medium", "light", "Type text, 1024 × 768"),
        ("reconnecting", "medium", "dark", "The connection was lost"),
        ("keys", "tablet", "light", "Key combinations, 768 × 1024"),
    ),
    (
        ("desktop", "phone", "light", "Phone, 390 × 844"),
        ("extra", "phone", "dark", "Extra keys"),
        ("more", "phone", "light", "The other controls"),
        ("ended-panel", "phone", "dark", "An ending"),
        ("arabic", "phone", "light", "Arabic"),
    ),
)


def take_rows(servers: Scene) -> list[list[Image.Image]]:
    """Takes the pictures of ROWS, those of one size in one browser."""
    found: dict[tuple[str, ...], Image.Image] = {}
    for size, (width, height) in SIZES.items():
        with window(width, height, touch=size in TOUCH) as browser:
            for state, _, theme, _ in (tile for row in ROWS for tile in row if tile[1] == size):
                found[state, size, theme] = read(take(browser, servers, state, theme))
    return [[found[tile[:3]] for tile in row] for row in ROWS]


@contextmanager
def another_window(servers: Scene) -> Iterator[None]:
    """Shows a log on the desktop, below its terminal."""
    command = ["xterm", "-title", "log", "-geometry", "66x14+520+330", "-fa", "Monospace", "-fs", "11"]
    command += ["-bg", "#14202e", "-fg", "#d9e2ec", "-e", "/bin/sh", "-c", 'printf %s "$1"; exec cat', "sh", LOG]
    process = spawn(command, env=servers.stage.desktop.environment())
    time.sleep(DRAWN_SECONDS)
    try:
        yield
    finally:
        stop(process)


def read(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def scale_to_row(pictures: list[Image.Image]) -> list[Image.Image]:
    """Makes them equally high, so that they fill the sheet's width."""
    room = WIDTH - GAP * (len(pictures) + 1)
    height = room / sum(picture.width / picture.height for picture in pictures)
    size = lambda picture: (round(picture.width * height / picture.height), round(height))  # noqa: E731
    return [picture.resize(size(picture), Image.LANCZOS) for picture in pictures]


def make_sheet(rows: list[list[Image.Image]]) -> Image.Image:
    scaled = [scale_to_row(row) for row in rows]
    sheet = Image.new("RGB", (WIDTH, GAP + sum(row[0].height + CAPTION + GAP for row in scaled)), GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, 18)
    top = GAP
    for row, tiles in zip(scaled, ROWS):
        left = GAP
        for picture, (_, _, _, caption) in zip(row, tiles):
            sheet.paste(picture, (left, top))
            draw.text((left, top + picture.height + 6), caption, WORDS, font)
            left += picture.width + GAP
        top += row[0].height + CAPTION + GAP
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """Saves it with a palette."""
    picture.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=8).save(path, optimize=True)
    print(path.name, f"{path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    with scene() as servers:
        with window(*DESKTOP, touch=False) as browser:
            take(browser, servers, "resized", "light")  # the desktop has its size then
            with another_window(servers):
                save(read(take(browser, servers, "resized", "light")), DOCS / "console.png")
                save(make_sheet(take_rows(servers)), DOCS / "console-states.png")


if __name__ == "__main__":
    main()
