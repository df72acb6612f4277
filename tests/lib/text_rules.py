# SPDX-License-Identifier: Apache-2.0
"""Rules for the text of every file (tests/lint): length of lines, white space, the licence line."""

from __future__ import annotations

import re
from pathlib import Path

COLUMNS = 120
COMMENT_COLUMNS = 100
TAB = 8
LICENCE = "SPDX-License-Identifier: Apache-2.0"
LICENCE_LINES = 3  # the licence is in one of a file's first lines

# Generated files, and files whose bytes are fixed.
NOT_TEXT = re.compile(
    r"^tests/fuzz/corpus/|(^|/)package-lock\.json$|^sdk/(vectors|cases)\.json$|\.(svg|png)$|(^|/)LICENSE$"
)
# Files without comments, Markdown, and files of a line or two.
NO_LICENCE = re.compile(
    r"\.(md|json|ini|dict|dockerignore)$|(^|/)\.gitignore$|(^|/)go\.mod$|(^|/)py\.typed$"
    r"|^debian/(changelog|control|copyright|docs|examples|links|source/.*)$"
)
# Allowed long lines: rows of tables, links' targets, commands, and a header's value that must be on one line.
LONG_LINES = {
    ".json": re.compile(r'^ +"[\w.]+": ".*",?$'),  # a sentence of console/languages
    ".md": re.compile(r"^(\||\[[^\]]*\]: |    )|\]\(\S+\)"),
    "deploy/nginx.conf": re.compile("Content-Security-Policy"),
    "deploy/Caddyfile": re.compile("Content-Security-Policy"),
    "deploy/apache.conf": re.compile("Content-Security-Policy|CustomLog"),
    "deploy/haproxy.cfg": re.compile("#hash|log-format"),
}
# Indented with spaces alone. C, sh, Go and CSS are indented with tabs.
SPACES = re.compile(r"\.(py|js|mjs|ts|php|rb|ya?ml|json|html)$")


def width(line: str) -> int:
    return len(line.expandtabs(TAB))


def is_too_long(name: str, line: str) -> bool:
    if width(line) <= COLUMNS:
        return False
    return not any(name.endswith(end) and pattern.search(line) for end, pattern in LONG_LINES.items())


def indentation_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def check_text(name: str, text: str) -> list[str]:
    found: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        indentation = indentation_of(line)
        if is_too_long(name, line):
            found.append(f"{name}:{number}: {width(line)} columns, more than {COLUMNS}")
        if line != line.rstrip():
            found.append(f"{name}:{number}: white space at the end")
        if " \t" in indentation:
            found.append(f"{name}:{number}: a space before a tab")
        if "\t" in indentation and SPACES.search(name):
            found.append(f"{name}:{number}: a tab in a file that is indented with spaces")
    if text and (lines[-1] != "" or lines[-2:] == ["", ""]):
        found.append(f"{name}:{len(lines)}: does not end in one newline")
    if not NO_LICENCE.search(name) and not any(LICENCE in line for line in lines[:LICENCE_LINES]):
        found.append(f"{name}:1: no line {LICENCE}")
    return found


def long_comments(name: str, text: str) -> list[str]:
    """Returns the lines of a C file that contain only a comment and are too wide."""
    found = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        begins = line.lstrip().startswith("/*")
        if (inside or begins) and width(line) > COMMENT_COLUMNS:
            found.append(f"{name}:{number}: a comment of {width(line)} columns, more than {COMMENT_COLUMNS}")
        inside = (inside or begins) and "*/" not in line
    return found


def check(root: Path, files: list[str]) -> list[str]:
    """Returns the faults of these files (paths relative to the root), each as "file:line: text"."""
    found: list[str] = []
    for name in files:
        if NOT_TEXT.search(name):
            continue
        try:
            text = (root / name).read_bytes().decode()
        except UnicodeDecodeError:
            found.append(f"{name}:1: is not UTF-8")
            continue
        found += check_text(name, text)
    return found
