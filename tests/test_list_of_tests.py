# SPDX-License-Identifier: Apache-2.0
"""tests/README.md lists every test file, and lib/schedule.py names only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from lib import schedule

HERE = Path(__file__).parent
FILES = sorted(path.name for path in HERE.glob("test_*.py"))


def test_each_file_is_in_the_readme_once() -> None:
    rows = re.findall(r"^\| `(test_\w+\.py)` \| .+ \|$", (HERE / "README.md").read_text(), re.M)
    assert sorted(rows) == FILES


def test_each_file_says_what_it_shows() -> None:
    for name in FILES:
        assert ast.get_docstring(ast.parse((HERE / name).read_text())), name


def test_schedule_names_tests_that_there_are() -> None:
    known = set()
    for name in FILES:
        stem = name.removesuffix(".py")
        functions = re.findall(r"^def (test_\w+)\(", (HERE / name).read_text(), re.M)
        known |= {stem, *(f"{stem}::{function}" for function in functions)}
    named = {*schedule.ALONE, *schedule.TIMED, *schedule.BUSY, *schedule.QUICK}
    named |= {*schedule.SPLIT, *schedule.APART, *schedule.MACHINE, *schedule.LONGEST}
    assert named <= known, named - known
