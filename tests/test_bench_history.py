# SPDX-License-Identifier: Apache-2.0
"""The history of the benchmarks: what a record contains, which runs are compared, and which changes are told."""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lib.activator import TREE

sys.path.append(str(TREE / "bench"))

import record  # noqa: E402

PROGRAMS = {"run", "spawn", "scaling", "attack", "oracle", "compare", "plot"}
MACHINE = {
    "processor": "Processor 3000",
    "cores": 2,
    "virtualization": "kvm",
    "memory, GiB": 8,
    "process start, µs": 500.0,
    "kernel": "6.1.0",
}


def run(date: str, figures: dict[str, list[float]], **machine: object) -> record.Record:
    columns = {name: {"median": sorted(values)[len(values) // 2], "rounds": values} for name, values in figures.items()}
    made = {
        "program": "bench/run",
        "date": date,
        "proxxy": "abc",
        "rounds": 3,
        "load": 0.1,
        "machine": {**MACHINE, **machine},
    }
    return {**made, "versions": {"OpenSSL": "3.0.0"}, "figures": {"proxxy": columns}}


def compare(now: record.Record, *kept: record.Record, all_figures: bool = False) -> str:
    return "\n".join(record.compare(now, {Path(f"{n}.json"): one for n, one in enumerate(kept)}, all_figures))


def test_record_has_figures_and_machine_and_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "HISTORY", tmp_path)
    made = record.make(
        "bench/run", 3, 0.25, {"proxxy": {"connect, ms": [5.12345, 4, 6], "round trip, µs": [81, 80, 82]}}
    )
    kept = record.keep(made)
    text = kept.read_text()
    assert json.loads(text) == made and record.history() == {kept: made}
    assert made["figures"]["proxxy"]["connect, ms"] == {"median": 5.123, "rounds": [5.123, 4, 6]}
    assert '"round trip, µs": {"median": 81.0, "rounds": [81.0, 80.0, 82.0]}\n' in text, "a figure has one line"
    assert made["machine"].keys() == MACHINE.keys() and made["machine"]["process start, µs"] > 0
    assert not re.search(rf"/(?!run\b)\w+/|\b{re.escape(platform.node())}\b", text.replace(platform.release(), ""))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{4}-run-[\w-]+-\d+-cores\.json", kept.name)


def test_run_is_compared_with_the_last_one_of_the_same_kind_of_machine() -> None:
    now = run("2026-01-09T12:00Z", {"connect": [5, 5.1, 4.9], "memory": [800, 800, 800]})
    older = run("2026-01-02T12:00Z", {"memory": [700, 700, 700], "connect": [9, 9, 9]})
    last = run("2026-01-08T12:00Z", {"connect": [6, 6, 6]}, **{"kernel": "6.2.0", "process start, µs": 700.0})
    kinds: list[dict[str, Any]] = [{"processor": "Another"}, {"cores": 4}, {"virtualization": "none"}]
    kinds.append({"process start, µs": 1500.0})
    others = [run("2026-01-08T13:00Z", {"connect": [1, 1, 1]}, **kind) for kind in kinds]
    later = run("2026-01-10T12:00Z", {"connect": [2, 2, 2]})
    told = compare(now, older, last, *others, later)
    assert told.count("Compared with") == 2
    assert (
        "Compared with 1.json: 2026-01-08T12:00Z, proxxy abc, 3 rounds, load average 0.1; Processor 3000, 2 cores"
        in told
    )
    assert "| proxxy | connect | 6 (6–6) | 5 (4.9–5.1) | 0.83 | better |" in told
    assert "Compared with 0.json" in told
    assert "| proxxy | memory | 700 (700–700) | 800 (800–800) | 1.14 | worse |" in told
    assert "no earlier run on a machine of this kind" in compare(now, *others, later)


def test_changes_within_the_spread_are_not_told() -> None:
    then = run(
        "2026-01-08T12:00Z", {"connect": [5, 6, 5.5], "trip": [80, 80, 80], "far": [1, 2, 3], "MiB/s": [9, 9, 9]}
    )
    now = run(
        "2026-01-09T12:00Z", {"connect": [5.8, 6.5, 6.4], "trip": [81, 81, 81], "far": [4, 7, 5], "MiB/s": [12, 12]}
    )
    told = compare(now, then)
    assert "connect |" not in told and "far |" not in told, "their rounds differ by as much"
    assert "trip | 80 (80–80) | 81 (81–81) | 1.01 | worse |" in told
    assert "MiB/s | 9 (9–9) | 12 (12–12) | 1.33 | better |" in told
    assert "2 of 4 figures changed by more than their rounds differ." in told
    assert "connect | 5.5 (5–6) | 6.4 (5.8–6.5) | 1.16 | – |" in compare(now, then, all_figures=True)


def test_records_in_the_tree_are_small_and_have_no_paths() -> None:
    for path, kept in record.history().items():
        text = path.read_text()
        assert len(text) < 100_000 and not re.search(r'"/|/(home|work|tmp|root)/', text), path
        assert kept.keys() == run("", {}).keys() and kept["machine"].keys() == MACHINE.keys(), path
        assert path.name.startswith(kept["date"][:10]), path


def test_benchmarks_need_no_pytest() -> None:
    """They are for machines that have what tests/install-packages bench installs, which is not pytest."""
    without = "import sys, runpy; sys.modules['pytest'] = None; runpy.run_path(sys.argv[1])"
    for program in PROGRAMS - {"compare", "plot"}:
        done = subprocess.run([sys.executable, "-c", without, TREE / "bench" / program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    imports = {
        name.name.split(".")[0]
        for path in (TREE / "bench").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert "pytest" not in imports


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_help_and_wrong_arguments_install_nothing(program: str, tmp_path: Path) -> None:
    for module in ("cryptography", "matplotlib"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('not installed')\n")
    (tmp_path / "apt-get").write_text(f"#!/bin/sh\n>{tmp_path}/installed\n")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ast.get_docstring(ast.parse((TREE / "bench" / program).read_text()), clean=False)
    for argument, status in (("--help", 0), ("--no-such-option", 2)):
        argv = [sys.executable, str(TREE / "bench" / program), argument]
        done = subprocess.run(argv, capture_output=True, text=True, env=environment)
        assert done.returncode == status and "Traceback" not in done.stderr, done.stderr
        assert status or (words and words in done.stdout)
    assert not (tmp_path / "installed").exists()


def test_run_on_a_busy_machine_is_not_kept_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    record.add_keep(parser)
    load = record.IDLE_LOAD * (os.cpu_count() or 1) + 0.1
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    with pytest.raises(SystemExit, match=f"load average is {load:.1f}"):
        record.load_before(parser.parse_args(["--keep"]))
    assert record.load_before(parser.parse_args(["--keep", "--busy"])) == load
    assert record.load_before(parser.parse_args([])) == load
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.0, 9.0))
    assert record.load_before(parser.parse_args(["--keep"])) == 0


def test_programs_and_releases_of_systemd_are_compared_apart() -> None:
    def spawned(date: str, release: str, ms: float) -> record.Record:
        made = run(date, {"ms": [ms, ms, ms], "starts/s": [ms, ms, ms]})
        return made | {"program": "bench/spawn", "versions": {"systemd": release}}

    now = spawned("2026-01-09T12:00Z", "252.40", 5)
    of_run = run("2026-01-08T15:00Z", {"ms": [1, 1, 1]})
    told = compare(now, spawned("2026-01-07T12:00Z", "252.39", 6), spawned("2026-01-08T12:00Z", "257.8", 9), of_run)
    assert told.count("Compared with") == 1
    assert "| proxxy | ms | 6 (6–6) | 5 (5–5) | 0.83 | better |" in told
    assert "| proxxy | starts/s | 6 (6–6) | 5 (5–5) | 0.83 | worse |" in told


def test_history_without_runs_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "HISTORY", tmp_path / "missing")
    assert record.history() == {}
    assert "no earlier run" in compare(run("2026-01-09T12:00Z", {"connect": [5, 5, 5]}))


def test_other_builds_need_names() -> None:
    builds = runpy.run_path(str(TREE / "bench" / "run"))["builds"]
    program = sys.executable
    assert list(builds([f"before={program}", program])) == ["before", "other build 2"]
    for words in ([f"a={program}", f"a={program}"], [f"proxxy={program}"], ["a=/nowhere"]):
        with pytest.raises(SystemExit):
            builds(words)
