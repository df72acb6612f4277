# SPDX-License-Identifier: Apache-2.0
"""Builds the programs of tests/typist, which contain the console's typist, and runs them in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .activator import TREE
from .console_packages import tool


def build(name: str, folder: Path) -> Path:
    program = folder / f"{name}.mjs"
    source = TREE / "tests" / "typist" / f"{name}.ts"
    options = ["--bundle", "--format=esm", "--platform=node", "--log-level=warning", f"--outfile={program}"]
    subprocess.run([tool("esbuild"), source, *options], check=True)
    return program


def run(program: Path, *arguments: str | Path, text: str, timeout: float) -> Any:
    """Returns what the program printed, which is JSON."""
    done = subprocess.run(["node", program, *arguments], input=text, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
