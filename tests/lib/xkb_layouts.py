# SPDX-License-Identifier: Apache-2.0
"""Makes console/src/typing/layouts/*.json from the keyboard layouts of xkeyboard-config (Debian: xkb-data,
libxkbcommon0): cd tests && python3 -m lib.xkb_layouts"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from .activator import TREE
from .xkb import Keyboard, character_of

FOLDER = TREE / "console" / "src" / "typing" / "layouts"
ASCII = {chr(number) for number in range(0x21, 0x7F)}
# A dead key is written as the combining character of its accent.
DEAD = {0xFE50: "\u0300", 0xFE51: "\u0301", 0xFE52: "\u0302", 0xFE53: "\u0303", 0xFE57: "\u0308"}
ACCENTS = dict(zip("`´^~¨", DEAD.values()))
# Keys by what a US keyboard types with them.
KEYS = dict(zip("1234567890", [f"Digit{number}" for number in "1234567890"]))
KEYS |= {letter: f"Key{letter.upper()}" for letter in "qwertyuiopasdfghjklzxcvbnm"}
KEYS |= {"`": "Backquote", "-": "Minus", "=": "Equal", "[": "BracketLeft", "]": "BracketRight", ";": "Semicolon"}
KEYS |= {"'": "Quote", "\\": "Backslash", ",": "Comma", ".": "Period", "/": "Slash"}
# Keys that not every keyboard has. A layout uses them only if ASCII is not complete without them.
KEYS |= {"<": "IntlBackslash", "ro": "IntlRo", "yen": "IntlYen"}
SOME_KEYBOARDS = ("IntlBackslash", "IntlRo", "IntlYen")

NORDIC = "2@ 3£ 4$ 7{ 8[ 9] 0} e€ mµ ]+~"
POLISH = "aą cć eę lł nń oó sś xź zż"


class Layout(NamedTuple):
    """altgr and both name what a key types with AltGr, and with Shift and AltGr: the key, then the character ("+"
    before an accent: a dead key). XKB has more, but other systems, above all Windows, have other characters there."""

    name: str
    xkb: str  # its name in XKB
    altgr: str = ""
    both: str = ""
    without: str = ""  # what only XKB has without AltGr: the key, then the character


LAYOUTS = {
    "us": Layout("English (US)", "us"),
    "uk": Layout("English (UK)", "gb", "4€"),
    "de": Layout("German", "de", "7{ 8[ 9] 0} q@ ]~ -\\ <| e€ 2² 3³ mµ"),
    "ch": Layout("German (Switzerland)", "ch", "2@ 3# 7| 8¢ [[ ]] '{ \\} <\\ -+´ =+~ e€"),
    "fr": Layout("French", "fr", "2~ 3# 4{ 5[ 6| 7` 8\\ 9^ 0@ -] =} e€", without="`~"),
    "be": Layout("French (Belgium)", "be", "1| 2@ 3# 6^ 9{ 0} [[ ]] <\\ '+´ \\+` /+~ e€"),
    "es": Layout("Spanish", "es", "1| 2@ 3# 4~ 6¬ [[ ]] '{ \\} `\\ e€"),
    "latam": Layout("Spanish (Latin America)", "latam", "q@ -\\ ]~ `¬ '+^ \\+`"),
    "it": Layout("Italian", "it", ";@ '# [[ ]] e€ -` =~", both="[{ ]}"),
    "pt": Layout("Portuguese", "pt", "2@ 3£ 4§ 7{ 8[ 9] 0} [+¨ e€"),
    "br": Layout("Portuguese (Brazil)", "br", "1¹ 2² 3³ 4£ 5¢ 6¬ =§ ]ª \\º"),
    "sv": Layout("Swedish", "se", NORDIC + " -\\ <|"),
    "no": Layout("Norwegian", "no", NORDIC + " =+´"),
    "dk": Layout("Danish", "dk", NORDIC + " =| <\\"),
    "fi": Layout("Finnish", "fi", NORDIC + " -\\ <|"),
    "nl": Layout("Dutch", "nl", "8{ 9} -\\ e€"),
    "pl": Layout("Polish", "pl", POLISH + " 5€", both=POLISH.upper()),
    "tr": Layout("Turkish", "tr", "1> `< 3# 4$ 7{ 8[ 9] 0} -\\ =| q@ ]~ \\` e€ t₺"),
    "jp": Layout("Japanese", "jp", without="0~"),
}


def pairs(text: str) -> dict[str, str]:
    """Reads altgr, both and without: the character of each key."""
    return {KEYS[pair[0].lower()]: pair[1] if pair[1:2] != "+" else ACCENTS[pair[2]] for pair in text.split()}


def typed(keyboard: Keyboard, code: str, *modifiers: str) -> str:
    for modifier in modifiers:
        keyboard.change(modifier, True)
    keysym = keyboard.keysym(code)
    for modifier in reversed(modifiers):
        keyboard.change(modifier, False)
    return DEAD.get(keysym) or character_of(keysym) or " "


def table(layout: Layout) -> dict[str, str]:
    """Returns what each key types: alone, with Shift, with AltGr, with both; " " is nothing."""
    keyboard = Keyboard(layout.xkb)
    altgr, both, without = pairs(layout.altgr), pairs(layout.both), pairs(layout.without)
    keys: dict[str, str] = {}
    for code in KEYS.values():
        for listed, modifiers in ((altgr, ("AltRight",)), (both, ("AltRight", "ShiftLeft"))):
            there = typed(keyboard, code, *modifiers)
            assert listed.get(code, there) == there, f"{layout.name}: {code} does not type {listed[code]} but {there}"
        alone = typed(keyboard, code) + typed(keyboard, code, "ShiftLeft")
        text = alone.replace(without.get(code, "\0"), " ") + altgr.get(code, " ") + both.get(code, " ")
        if code in SOME_KEYBOARDS and not set(text) & ASCII - set("".join(keys.values())):
            continue
        if text.strip():
            keys[code] = text.rstrip()
    return keys


def write(folder: Path) -> None:
    for identifier, layout in LAYOUTS.items():
        content = {"id": identifier, "name": layout.name, "keys": table(layout)}
        text = json.dumps(content, ensure_ascii=False, indent=2)
        for mark in DEAD.values():
            text = text.replace(mark, f"\\u{ord(mark):04x}")
        (folder / f"{identifier}.json").write_text(text + "\n")


if __name__ == "__main__":
    write(FOLDER)
