# SPDX-License-Identifier: Apache-2.0
"""make on other machines: a distribution's flags, other compilers, a missing library."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from lib.activator import TREE


def make(build: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs make without the flags in the caller's environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = ["make", "-C", str(TREE), f"BUILD={build}", *arguments]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=120)


def commands(build: Path, *arguments: str, **environment: str) -> list[str]:
    """The command that compiles each file."""
    done = make(build, "-n", "-B", *arguments, **environment)  # -B: also for files that are built already
    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.splitlines() if " -c -o " in line]
    assert len(found) > 20
    return found


@pytest.mark.parametrize("goal", [[], ["install"], ["unit"]])
def test_missing_library_is_named_before_anything_is_compiled(tmp_path: Path, goal: list[str]) -> None:
    done = make(tmp_path / "b", *goal, PKG_CONFIG_LIBDIR=str(tmp_path))
    assert done.returncode == 2 and not (tmp_path / "b").exists()
    assert re.search(r"does not find: libseccomp openssl libsystemd json-c libcurl\b", done.stderr)
    assert "tests/install-packages build" in done.stderr and "fatal error" not in done.stderr


def test_missing_pkg_config_is_named(tmp_path: Path) -> None:
    done = make(tmp_path / "b", "PKG_CONFIG=no-such-pkg-config")
    assert done.returncode == 2 and "no-such-pkg-config is missing" in done.stderr
    assert "tests/install-packages build" in done.stderr


def test_filters_are_for_the_processor_of_the_compiler(tmp_path: Path) -> None:
    """Not for the one of the machine that builds."""
    filters = tmp_path / "b" / "filter" / "filters.h"
    compiler = "CC=cc -U__x86_64__ -U__aarch64__ -U__i386__"
    done = make(tmp_path / "b", str(filters), compiler)
    assert done.returncode == 2 and "make_filters: unknown: filter/architecture.h" in done.stderr
    assert not filters.exists()
    done = make(tmp_path / "b", str(filters), f"{compiler} -D__riscv -D__riscv_xlen=64")
    assert done.returncode == 0, done.stderr
    assert "for riscv64. */" in filters.read_text()


def test_cleaning_needs_no_library(tmp_path: Path) -> None:
    done = make(tmp_path / "b", "-n", "clean", PKG_CONFIG="no-such-pkg-config")
    assert done.returncode == 0 and done.stderr == ""


def test_warnings_are_errors_for_developers_alone(tmp_path: Path) -> None:
    assert not any("-Werror" in line for line in commands(tmp_path))
    assert not any("-Werror" in line for line in commands(tmp_path, "fuzz"))
    assert all("-Werror" in line for line in commands(tmp_path, "WERROR=1"))
    assert all("-Werror" in line for line in commands(tmp_path, WERROR="1"))


@pytest.mark.parametrize(
    ("flags", "fortify"),
    [
        ({}, ["-D_FORTIFY_SOURCE=2"]),
        ({"CFLAGS": "-O3"}, ["-D_FORTIFY_SOURCE=2"]),
        ({"CFLAGS": "-Og -g"}, ["-D_FORTIFY_SOURCE=2"]),
        ({"CFLAGS": "-O0 -g"}, []),
        ({"CPPFLAGS": "-Wdate-time -D_FORTIFY_SOURCE=3"}, ["-D_FORTIFY_SOURCE=3"]),
        ({"CFLAGS": "-O2 -Wp,-D_FORTIFY_SOURCE=3"}, ["-D_FORTIFY_SOURCE=3"]),
    ],
)
@pytest.mark.parametrize("by_environment", [True, False])
def test_flags_of_distributions(
    tmp_path: Path, flags: dict[str, str], fortify: list[str], by_environment: bool
) -> None:
    arguments = [] if by_environment else [f"{name}={value}" for name, value in flags.items()]
    for line in commands(tmp_path, *arguments, **(flags if by_environment else {})):
        assert re.findall(r"-D_FORTIFY_SOURCE=\d", line) == fortify
        assert all(flag in line for flag in " ".join(flags.values()).split())
