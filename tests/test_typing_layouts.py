# SPDX-License-Identifier: Apache-2.0
"""Keyboard layouts of typed text: in each, libxkbcommon makes the same text of the keys that the console presses."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lib import typist
from lib.xkb import Keyboard
from lib.xkb_layouts import FOLDER, LAYOUTS, write

RUN_SECONDS = 60.0
ASCII = "".join(map(chr, range(0x20, 0x7F)))
BEYOND = "".join(map(chr, range(0xA0, 0x180))) + "€₺→"
IDS = list(LAYOUTS)

# What people write with these layouts; the rest of BEYOND is tried in each layout that can type it.
OWN = {
    "uk": "£€",
    "de": "äöüÄÖÜßéèêâ€@{}",
    "ch": "äöüéèàçâêñÉ€@{}",
    "fr": "éèàùçâêîôûëïü€@{}",
    "be": "éèàùçâêîôûëïü€@{}",
    "es": "ñÑáéíóúÁüÜ¿¡ç€@{}",
    "latam": "ñÑáéíóúÁüÜ¿¡@{}",
    "it": "àèéìòù€@{}",
    "pt": "ãõáéíóúâêôàçÇ€@{}",
    "br": "ãõáéíóúâêôàçÇ@{}",
    "sv": "åäöÅÄÖé€@{}",
    "no": "æøåÆØÅé€@{}",
    "dk": "æøåÆØÅé€@{}",
    "fi": "åäöÅÄÖé€@{}",
    "nl": "éèêëïöü€@{}",
    "pl": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ€",
    "tr": "ğüşıöçĞÜŞİÖÇ€₺@{}",
}


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Each layout's text, of all that it can type in a random order, and the events that type it."""
    program = typist.build("events", tmp_path_factory.mktemp("typist"))
    characters = list((ASCII + BEYOND + "\n\t") * 5)
    random.Random(1).shuffle(characters)
    return typist.run(program, text="".join(characters), timeout=RUN_SECONDS)


@pytest.mark.parametrize("identifier", IDS)
def test_guest_reads_what_was_typed(typed: dict[str, dict], identifier: str) -> None:
    """The keysym of each event is that of the key in the layout, so a server that knows only keysyms agrees."""
    keyboard = Keyboard(LAYOUTS[identifier].xkb)
    text = ""
    for keysym, code, down in typed[identifier]["events"]:
        assert keyboard.keysym(code) == keysym or not down, code
        text += keyboard.event(code, down)
    assert text == typed[identifier]["text"]
    assert not keyboard.down


@pytest.mark.parametrize("identifier", IDS)
def test_ascii_and_the_languages_letters_can_be_typed(typed: dict[str, dict], identifier: str) -> None:
    assert set(ASCII + "\n\t" + OWN.get(identifier, "")) <= set(typed[identifier]["text"])
    assert "→" not in typed[identifier]["text"], "only XKB has this on AltGr"


def test_tables_are_made_of_xkbs(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert made == {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
