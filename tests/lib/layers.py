# SPDX-License-Identifier: Apache-2.0
"""Checks which C file includes which (tests/lint). A shared file may include no file of a program; a program may
include no file of another program."""

from __future__ import annotations

import re
from pathlib import Path

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', re.M)
SHARED = ("lib/", "crypto.h", "ws.h")
# Folders and top-level files, with the prefixes that each may include; the first match counts. Every header's own path
# has one of these prefixes.
LAYERS = {
    "lib/": SHARED,
    "crypto.": SHARED,
    "ws.": SHARED,
    "proxxy-conn.c": (*SHARED, "session/"),
    "session/": (*SHARED, "session/"),
    "filter/": ("filter/",),
    "listen/": ("listen/",),
    "url/": (*SHARED, "url/"),
    "setup/": (*SHARED, "setup/"),
    "status/": (*SHARED, "status/"),
    "bench/": (*SHARED, "bench/"),
    "tests/fuzz/session/": (*SHARED, "session/", "tests/fuzz/", "proxxy-conn.c"),
    "tests/": (*SHARED, "filter/", "session/", "url/", "status/", "tests/"),
}


def includes(root: Path, file: str) -> list[tuple[int, str]]:
    text = (root / file).read_text()
    return [(text.count("\n", 0, found.start()) + 1, found[1]) for found in INCLUDE.finditer(text)]


def shared_module(file: str) -> str | None:
    """Returns lib/io for lib/io.c and lib/io.h, None for a file that is not shared."""
    return file.rpartition(".")[0] if file.startswith(("lib/", "crypto.", "ws.")) else None


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Returns modules that include each other in a circle (the first is repeated at the end), or an empty list."""
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in finished:
            return []
        for other in sorted(graph.get(module, ())):
            if circle := visit(other, [*path, module]):
                return circle
        finished.add(module)
        return []

    return next((circle for module in sorted(graph) if (circle := visit(module, []))), [])


def check(root: Path, files: list[str]) -> list[str]:
    """Returns the wrong includes of these C files (paths relative to the root), each as "file:line: text"."""
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    places: dict[tuple[str, str], str] = {}
    for file in files:
        allowed = next((allowed for prefix, allowed in LAYERS.items() if file.startswith(prefix)), None)
        if allowed is None:
            found.append(f"{file}:1: tests/lib/layers.py does not say what this file may include")
            continue
        for line, name in includes(root, file):
            if not (root / name).is_file() or "../" in name:
                found.append(f'{file}:{line}: "{name}" is no file, named from the top of the tree')
            elif not name.startswith(allowed):
                found.append(f'{file}:{line}: may not include "{name}", only {", ".join(allowed)}')
            module, other = shared_module(file), shared_module(name)
            if module and other and module != other:
                graph.setdefault(module, set()).add(other)
                places[module, other] = f"{file}:{line}"
    if circle := find_circle(graph):
        found.append(f"{places[circle[0], circle[1]]}: modules include each other in a circle: {' > '.join(circle)}")
    return found
