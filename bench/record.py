# SPDX-License-Identifier: Apache-2.0
"""The figures of a run of bench/run or bench/spawn as JSON: written to bench/history by date and machine, and compared
with earlier runs.

A record contains no names of hosts or files. Its format:

    {"program": "bench/run", "date": UTC, "proxxy": commit, "rounds": N, "load": load average before the run,
     "machine": {…}, "versions": {…},
     "figures": {"what is measured": {"a figure": {"median": M, "rounds": [one value for each round]}}}}
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

TREE = Path(__file__).resolve().parents[1]
HISTORY = TREE / "bench" / "history"
DIGITS = 4  # significant ones of each figure
STARTS = 200  # of an empty process; the fastest counts
IDLE_LOAD = 0.5  # processes that run on each core: above it, a machine has other work
LIKE = 1.5  # process starts that take so much longer belong to another kind of machine

Record = dict[str, Any]
Samples = dict[str, dict[str, list[float]]]  # what is measured -> the figure -> a value for each round


def output(argv: list[str]) -> str:
    """Returns what a program prints, or "" if it is not there."""
    if not shutil.which(argv[0]):
        return ""
    done = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def number(text: str) -> str:
    """The first number of a version in a text, or "?"."""
    found = re.search(r"\d+\.\d[\w.]*", text)
    return found[0] if found else "?"


def version(argv: list[str]) -> str:
    return number(output(argv)) if shutil.which(argv[0]) else "not installed"


def versions() -> dict[str, str]:
    """Of the programs that bench/run compares."""
    return {
        "OpenSSL": version(["openssl", "version"]),
        "nginx": version(["nginx", "-v"]),
        "HAProxy": version(["haproxy", "-v"]),
        "stunnel": version(["stunnel", "-version"]),
        "websockify": version(["dpkg-query", "-W", "websockify"]),
    }


# --- the machine --------------------------------------------------------------------------------


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else platform.machine()


def process_start() -> float:
    """Microseconds to start a program that does nothing, and to see its end."""
    program, times = shutil.which("true") or "/bin/true", []
    for _ in range(STARTS):
        began = time.perf_counter()
        os.waitpid(os.posix_spawn(program, [program], os.environ), 0)
        times.append(time.perf_counter() - began)
    return min(times) * 1e6


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "virtualization": output(["systemd-detect-virt", "--vm"]).strip() or "?",
        "memory, GiB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "process start, µs": rounded(process_start()),
        "kernel": platform.release(),
    }


def same_kind(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether figures of two machines may be compared. A hypervisor that makes the start of a process dear is not in a
    processor's name, so that time counts too."""
    if any(one[name] != other[name] for name in ("processor", "cores", "virtualization")):
        return False
    starts = sorted(description["process start, µs"] for description in (one, other))
    return starts[1] <= LIKE * starts[0]


def machine_words(described: dict[str, Any]) -> str:
    return (
        f"{described['processor']}, {described['cores']} cores, virtualization {described['virtualization']}, "
        f"Linux {described['kernel']}, a process starts in {described['process start, µs']:.0f} µs"
    )


# --- writing and reading ------------------------------------------------------------------------


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def add_keep(parser: argparse.ArgumentParser) -> None:
    """The options that say whether a run is kept."""
    words = "also write the figures to bench/history; refused if the machine has other work"
    parser.add_argument("--keep", action="store_true", help=words)
    parser.add_argument("--busy", action="store_true", help="with --keep: also if the machine has other work")


def load_before(options: argparse.Namespace) -> float:
    """The load average before a run, which makes load itself. A run on a busy machine is not kept: the program ends."""
    load, most = os.getloadavg()[0], IDLE_LOAD * (os.cpu_count() or 1)
    if options.keep and load > most and not options.busy:
        words = f"the load average is {load:.1f}, and at most {most:.1f} on an idle machine with as many cores"
        raise SystemExit(f"--keep: {words}. Run it again later, or with --busy to keep it all the same")
    return load


def make(program: str, rounds: int, load: float, samples: Samples, programs: dict[str, str] | None = None) -> Record:
    """A record of this machine, now. load is what load_before() returned. programs: versions of what was measured, if
    these are not those of versions()."""
    commit = output(["git", "describe", "--always", "--dirty"]).strip()
    return {
        "program": program,
        "date": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "proxxy": commit if re.fullmatch(r"[\w.-]+", commit) else "?",
        "rounds": rounds,
        "load": round(load, 2),
        "machine": machine(),
        "versions": programs or versions(),
        "figures": {
            name: {
                figure: {"median": rounded(statistics.median(values)), "rounds": [rounded(value) for value in values]}
                for figure, values in columns.items()
            }
            for name, columns in samples.items()
        },
    }


def write(record: Record, path: Path) -> None:
    """One line for each figure."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+([^]]*?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text)
    text = re.sub(r'\{\s+("median": [^,]*),\s+("rounds": [^}]*?)\s+\}', r"{\1, \2}", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def read(path: Path) -> Record:
    return json.loads(path.read_text())


def keep(record: Record) -> Path:
    """Writes a record to the history, under a name that sorts by date."""
    words = re.sub(r"\W+", "-", record["machine"]["processor"].lower()).strip("-")
    date = re.sub(r"[:Z]", "", record["date"]).replace("T", "-")
    name = f"{date}-{Path(record['program']).name}-{words}-{record['machine']['cores']}-cores.json"
    write(record, HISTORY / name)
    return HISTORY / name


def history() -> dict[Path, Record]:
    """All records that are kept, the oldest first."""
    return {path: read(path) for path in sorted(HISTORY.glob("*.json"))}


# --- comparing ----------------------------------------------------------------------------------


def earlier(record: Record, kept: dict[Path, Record]) -> dict[Path, Record]:
    """Those of the same program on the same kind of machine, before this one; the newest first. For bench/spawn,
    another release of systemd is another program."""
    found = [
        (path, other)
        for path, other in kept.items()
        if other["program"] == record["program"]
        and other["date"] < record["date"]
        and same_kind(other["machine"], record["machine"])
        and systemd(other) == systemd(record)
    ]
    return dict(reversed(found))


def systemd(record: Record) -> str:
    """Its release, without the number of the update."""
    return record["versions"].get("systemd", "").partition(".")[0]


def is_change(then: list[float], now: list[float]) -> bool:
    """Whether two figures differ by more than their rounds do: no value of one is between those of the other, and the
    medians are further apart than the values of either."""
    apart = max(then) < min(now) or max(now) < min(then)
    spread = max(max(values) - min(values) for values in (then, now))
    return apart and abs(statistics.median(now) - statistics.median(then)) > spread


def is_better(figure: str, then: float, now: float) -> bool:
    """More is better of connects, starts, MiB and keystrokes per second; of all others, less."""
    return (now > then) == bool(re.search(r"(connects|starts|MiB|keystrokes)/s", figure))


def compare(record: Record, kept: dict[Path, Record], all_figures: bool = False) -> Iterator[str]:
    """Compares each figure with the last run that has it, on the same kind of machine. Yields text: for each of these
    runs a table of the changes beyond the spread of the rounds, or of all figures."""
    runs = earlier(record, kept)
    yield f"This run: {run_words(record)}"
    if not runs:
        yield "The history has no earlier run on a machine of this kind."
        yield from (f"- {run_words(other)}" for other in kept.values() if other["program"] == record["program"])
        return
    left = {(name, figure) for name, columns in record["figures"].items() for figure in columns}
    for path, other in runs.items():
        common = [(n, f) for n, columns in other["figures"].items() for f in columns if (n, f) in left]
        left -= set(common)
        if common:
            yield from compared(record, path.name, other, common, all_figures)
    if left:
        yield f"\nNo earlier run has these: {len(left)} figures"


def compare_two(record: Record, name: str, other: Record, all_figures: bool) -> Iterator[str]:
    """Compares with one run, whatever its machine is."""
    figures = record["figures"]
    common = [(n, f) for n, columns in other["figures"].items() for f in columns if f in figures.get(n, {})]
    yield f"This run: {run_words(record)}"
    yield from compared(record, name, other, common, all_figures)


def compared(
    record: Record, name: str, other: Record, common: list[tuple[str, str]], all_figures: bool
) -> Iterator[str]:
    yield f"\nCompared with {name}: {run_words(other)}"
    if not same_kind(record["machine"], other["machine"]):
        yield "**Another kind of machine.**"
    yield ""
    yield from table(record, other, common, all_figures)


def run_words(record: Record) -> str:
    found = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    words = f"{record['date']}, proxxy {record['proxxy']}, {record['rounds']} rounds, load average {record['load']:.1f}"
    return f"{words}; {machine_words(record['machine'])}; {found}"


def table(record: Record, other: Record, common: list[tuple[str, str]], all_figures: bool) -> Iterator[str]:
    rows, changes = [], 0
    for name, figure in common:
        then, now = (one["figures"][name][figure] for one in (other, record))
        changed = is_change(then["rounds"], now["rounds"])
        changes += changed
        if changed or all_figures:
            words = "–" if not changed else "better" if is_better(figure, then["median"], now["median"]) else "worse"
            ratio = f"{now['median'] / then['median']:.2f}" if then["median"] else "–"
            cells = [name, figure, values(then), values(now), ratio, words]
            rows.append("| " + " | ".join(cells) + " |")
    if rows:
        yield "| | figure | then | now | ratio | beyond the spread |\n" + "| --- " * 6 + "|"
        yield from rows
    yield f"\n{changes} of {len(common)} figures changed by more than their rounds differ."
    if min(record["rounds"], other["rounds"]) < 3:
        yield "One of the runs has fewer than three rounds: its spread says little."
    if any(one["load"] > IDLE_LOAD * one["machine"]["cores"] for one in (record, other)):
        yield "A machine had other work: its times say little. Instructions, system calls and memory do."
    if changes:
        yield "Where other programs changed too, the machine did, or the work beside it."


def values(figure: dict[str, Any]) -> str:
    least, most = min(figure["rounds"]), max(figure["rounds"])
    return f"{figure['median']:g} ({least:g}–{most:g})"
