# SPDX-License-Identifier: Apache-2.0
"""The manual pages are valid, and list the same settings as the program."""

from __future__ import annotations

import re
import subprocess

from lib.activator import TREE, binary


def settings_of_the_program() -> dict[str, str]:
    text = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.M))


def test_settings_are_the_same_in_program_and_manual() -> None:
    manual = re.findall(r"^\.It Ev ([A-Z_]+)", (TREE / "man" / "proxxy.conf.5").read_text(), re.M)
    assert sorted(manual) == sorted(settings_of_the_program()) and len(manual) > 15


def test_manual_pages_are_clean() -> None:
    for page in sorted((TREE / "man").iterdir()):
        run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        assert run.stdout == "" and run.returncode == 0
