# SPDX-License-Identifier: Apache-2.0
"""libxkbcommon as a guest's keyboard: which text its layout makes of the keys that are pressed, dead keys included."""

from __future__ import annotations

import ctypes
import locale
import re
from pathlib import Path

KEYCODES = Path("/usr/share/X11/xkb/keycodes/evdev")
COMPOSED, CANCELLED, COMPOSING = 2, 3, 1  # enum xkb_compose_status
DOWN, UP = 1, 0

# KeyboardEvent.code of each key that can make a character, by its name in XKB (the place on the keyboard).
PLACES = {
    "TLDE": "Backquote",
    **{f"AE{i:02}": f"Digit{i % 10}" for i in range(1, 11)},
    "AE11": "Minus",
    "AE12": "Equal",
    **{f"AD{i:02}": f"Key{letter}" for i, letter in enumerate("QWERTYUIOP", 1)},
    "AD11": "BracketLeft",
    "AD12": "BracketRight",
    **{f"AC{i:02}": f"Key{letter}" for i, letter in enumerate("ASDFGHJKL", 1)},
    "AC10": "Semicolon",
    "AC11": "Quote",
    "BKSL": "Backslash",
    **{f"AB{i:02}": f"Key{letter}" for i, letter in enumerate("ZXCVBNM", 1)},
    "AB08": "Comma",
    "AB09": "Period",
    "AB10": "Slash",
    "SPCE": "Space",
    "LSGT": "IntlBackslash",
    "AB11": "IntlRo",
    "AE13": "IntlYen",
    "LFSH": "ShiftLeft",
    "RALT": "AltRight",
    "RTRN": "Enter",
    "TAB": "Tab",
}


class _Names(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libxkbcommon.so.0")
    for name in ("context_new", "keymap_new_from_names", "state_new", "compose_table_new_from_locale"):
        getattr(library, f"xkb_{name}").restype = ctypes.c_void_p
    library.xkb_compose_state_new.restype = ctypes.c_void_p
    library.xkb_utf32_to_keysym.restype = ctypes.c_uint32
    library.xkb_state_key_get_one_sym.restype = ctypes.c_uint32
    return library


LIBRARY = _library()
CODES = {
    PLACES[name]: int(number)
    for name, number in re.findall(r"<(\w+)>\s*=\s*(\d+);", KEYCODES.read_text())
    if name in PLACES
}


class Keyboard:
    """A keyboard with one layout. Keys are named as KeyboardEvent.code names them."""

    def __init__(self, layout: str, variant: str = "") -> None:
        context = ctypes.c_void_p(LIBRARY.xkb_context_new(0))
        names = _Names(b"evdev", b"jp106" if layout == "jp" else b"pc105", layout.encode(), variant.encode(), b"")
        keymap = LIBRARY.xkb_keymap_new_from_names(context, ctypes.byref(names), 0)
        assert keymap, f"XKB has no layout {layout} {variant}"
        self.state = ctypes.c_void_p(LIBRARY.xkb_state_new(ctypes.c_void_p(keymap)))
        table = LIBRARY.xkb_compose_table_new_from_locale(context, b"en_US.UTF-8", 0)
        assert table, f"no Compose file for en_US.UTF-8 ({locale.getlocale()})"
        self.compose = ctypes.c_void_p(LIBRARY.xkb_compose_state_new(ctypes.c_void_p(table), 0))
        self.down: set[str] = set()

    def keysym(self, code: str) -> int:
        """Returns the keysym that this key has now, with the modifiers that are down."""
        return LIBRARY.xkb_state_key_get_one_sym(self.state, ctypes.c_uint32(CODES[code]))

    def change(self, code: str, down: bool) -> None:
        """Changes the modifiers, if it is one's key."""
        LIBRARY.xkb_state_update_key(self.state, ctypes.c_uint32(CODES[code]), DOWN if down else UP)
        (self.down.add if down else self.down.discard)(code)

    def event(self, code: str, down: bool) -> str:
        """Presses or releases a key. Returns what that types; of a sequence that dead keys cannot make, "\ufffd"."""
        text = self._text(self.keysym(code)) if down else ""
        self.change(code, down)
        return text

    def _text(self, keysym: int) -> str:
        LIBRARY.xkb_compose_state_feed(self.compose, ctypes.c_uint32(keysym))
        status = LIBRARY.xkb_compose_state_get_status(self.compose)
        if status == COMPOSING:
            return ""
        if status == CANCELLED:
            LIBRARY.xkb_compose_state_reset(self.compose)
            return "\ufffd"
        if status == COMPOSED:
            buffer = ctypes.create_string_buffer(64)
            LIBRARY.xkb_compose_state_get_utf8(self.compose, buffer, ctypes.c_size_t(64))
            LIBRARY.xkb_compose_state_reset(self.compose)
            return buffer.value.decode()
        return character_of(keysym)


def character_of(keysym: int) -> str:
    """Returns the character that a keysym stands for; "" for a key without one, such as Shift."""
    number = LIBRARY.xkb_keysym_to_utf32(ctypes.c_uint32(keysym))
    return chr(number).replace("\r", "\n") if number else ""


def keysym_of(character: str) -> int:
    return LIBRARY.xkb_utf32_to_keysym(ctypes.c_uint32(ord(character)))
