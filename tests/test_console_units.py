# SPDX-License-Identifier: Apache-2.0
"""The console's unit tests (console/test), with Node's test runner, and its types."""

from __future__ import annotations

import re
import subprocess

from lib.console_packages import CONSOLE, tool


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=CONSOLE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_types() -> None:
    run(str(tool("tsc")), "--noEmit")


def test_units() -> None:
    tool("esbuild")
    run("node", "build.js", "test")
    said = run("node", "--test", *sorted(str(file) for file in (CONSOLE / "dist" / "test").glob("*.mjs")))
    passed = re.search(r"^# pass (\d+)$", said, re.MULTILINE)
    assert passed and int(passed[1]) > 150 and "\n# skipped 0\n" in said, said[-2000:]
