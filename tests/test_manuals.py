# SPDX-License-Identifier: Apache-2.0
"""The manual pages are valid, and list the same settings as the program and the README."""

from __future__ import annotations

import re
import subprocess

from lib.activator import TREE, binary


def settings_of_the_program() -> dict[str, str]:
    text = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.M))


def test_settings_are_the_same_in_program_readme_and_manual() -> None:
    settings = settings_of_the_program()
    readme = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", (TREE / "README.md").read_text(), re.M))
    manual = re.findall(r"^\.It Ev ([A-Z_]+)", (TREE / "man" / "proxxy.conf.5").read_text(), re.M)
    assert sorted(readme) == sorted(settings) == sorted(manual)
    for name, default in settings.items():
        assert readme[name].strip("`–") == default, name


def test_manual_pages_are_clean() -> None:
    for page in sorted((TREE / "man").iterdir()):
        run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        assert run.stdout == "" and run.returncode == 0
