# SPDX-License-Identifier: Apache-2.0
"""Installs what the benchmarks need. Each of them reads its arguments, calls prepare(), and only then imports what
Python itself does not have: --help and wrong arguments install nothing."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TREE / "tests"), str(TREE / "bench")]


def parser(words: str | None) -> argparse.ArgumentParser:
    """A parser whose --help begins with these words, the program's docstring."""
    return argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)


def install() -> None:
    """Installs the missing packages, and prints their names. If none is missing, it changes nothing."""
    done = subprocess.run([TREE / "tests" / "install-packages", "build", "bench"], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        print("Not all packages could be installed; going on with what is there", file=sys.stderr)
    importlib.invalidate_caches()


def prepare() -> None:
    """For a program that measures: it is root, what it needs is there, and a signal ends it with what it started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it would be ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if os.geteuid() != 0:
        raise SystemExit(f"{sys.argv[0]} needs root: run it with sudo")
    install()
