# SPDX-License-Identifier: Apache-2.0
"""HACKING.md lists every C file and every kind of build. Each file, function and test that a document names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lib.activator import TREE

PROGRAMS = (".", "filter", "lib", "listen", "session", "setup", "status", "url")
FOLDERS = "bench|console|debian|deploy|docs|examples|filter|lib|listen|man|session|setup|status|tests|url"
DOCUMENTS = [path for pattern in ("*.md", "*/*.md") for path in sorted(TREE.glob(pattern))]
MAP = (TREE / "HACKING.md").read_text()
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)


def is_built(name: str) -> bool:
    """Whether a build creates it. It need not exist before the build."""
    return f"/{name}/" in (TREE / ".gitignore").read_text()


def sections() -> dict[str, str]:
    """The tables of files, by their headings in bold."""
    table = MAP.partition("\n## Files\n")[2].partition("\n## ")[0]
    parts = re.split(r"^\| \*\*(.+)\*\* \| \|$", table, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def files_of(rows: str) -> list[str]:
    """The files in the first column."""
    return [name for row in re.findall(r"^\| (`.*?) \|", rows, re.M) for name in re.findall(r"`([^`]+)`", row)]


def test_each_source_file_is_in_the_map_once() -> None:
    sources = {str(path.relative_to(TREE)) for folder in PROGRAMS for path in (TREE / folder).glob("*.c")}
    headers = [path for folder in ("filter", "lib") for path in (TREE / folder).glob("*.h")]
    alone = {str(path.relative_to(TREE)) for path in headers if not path.with_suffix(".c").exists()}
    listed = [name for rows in sections().values() for name in files_of(rows)]
    assert len(sources) > 35
    assert (sources | alone) - set(listed) == set(), "not in the map"
    assert set(listed) - (sources | alone) == set(), "gone"
    assert len(listed) == len(set(listed)), "twice in the map"


def test_each_file_stands_under_its_programs() -> None:
    """proxxy-status uses a part of lib/, proxxy-conn all that is not for programs run by hand, the others all of it."""
    files = {heading: [name for name in files_of(rows) if name.endswith(".c")] for heading, rows in sections().items()}
    makefile = re.sub(r"\\\n\s*", "", (TREE / "Makefile").read_text())
    [shared] = re.findall(r"^proxxy-status := .*\$\(addprefix lib/,(.*)\)$", makefile, re.M)
    assert set(files["all programs"]) == {f"lib/{name}.c" for name in shared.split()}
    assert all(
        name.startswith("lib/") or name in ("crypto.c", "ws.c")
        for name in files["proxxy-conn, proxxy-url and proxxy-setup"]
    )
    [by_hand] = re.findall(r"^BY_HAND := \$\(basename \$\(wildcard (.*)\)\)$", makefile, re.M)
    found = {str(path.relative_to(TREE)) for pattern in by_hand.split() for path in TREE.glob(pattern)}
    assert set(files["proxxy-url and proxxy-setup"]) == found
    for program, folder in (
        ("proxxy-conn", "session"),
        ("make_filters", "filter"),
        ("proxxy-url", "url"),
        ("proxxy-setup", "setup"),
        ("proxxy-listen", "listen"),
        ("proxxy-status", "status"),
    ):
        assert all(name.startswith(f"{folder}/") or name == f"{program}.c" for name in files[program])


def test_pure_files_are_those_whose_headers_say_so() -> None:
    for rows in sections().values():
        for names, words in re.findall(r"^\| (`.*?) \| (.*) \|$", rows, re.M):
            header = (TREE / files_of(f"| {names} |")[0]).with_suffix(".h")
            about = header.read_text().partition("*/")[0] if header.is_file() else ""
            pure = re.search(r"\bpure\b|\bmemory only\b", about, re.I) is not None
            assert pure == words.endswith(". Pure"), names


def test_each_kind_of_build_is_in_the_map() -> None:
    rules = "".join((TREE / path).read_text() for path in ("Makefile", "bench/rules.mk", "tests/fuzz/rules.mk"))
    table = MAP.partition("\n## Builds\n")[2].partition("\n## ")[0]
    kinds = re.findall(r"^ *(?:else )?ifeq \(\$\((\w+)\),1\)$", rules, re.M)
    assert len(set(kinds)) > 4 and set(re.findall(r"\b([A-Z]+)=1", table)) == set(kinds)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_files_and_tests_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text()
    quoted = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    words = [word.rstrip(",.:;") for quote in quoted for word in quote.split()]
    paths = {word for word in words if re.fullmatch(rf"(?:{FOLDERS})/[\w./@-]*", word)}
    names = {word for word in words if re.fullmatch(r"[\w@-]+\.(?:[ch]|socket|service|slice|md)", word)}
    tests = {word for word in words if re.fullmatch(r"test_\w+", word)}
    python = "".join(path.read_text() for path in (TREE / "tests").glob("*.py"))
    missing = [path for path in paths if not any((place / path).exists() for place in (TREE, document.parent))]
    assert [path for path in missing if not is_built(path)] == []
    tree = {path.name for folder in FOLDERS.split("|") for path in (TREE / folder).rglob("*")}
    assert names - tree - {path.name for path in TREE.iterdir()} == set()
    assert [name for name in tests if f"def {name}(" not in python] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", document.read_text()))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        titles = re.findall(r"^#+ (.*)$", FENCED.sub("", target.read_text()), re.M) if heading else []
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not heading or heading in anchors, link


def test_functions_in_the_map_are_there() -> None:
    """A function that is named beside a file is in that file. The functions of the overview are in proxxy-conn.c."""
    for line in MAP.splitlines():
        for part in re.split(r"[;.] ", line):
            functions = re.findall(r"`(\w+)\(\)`", part)
            files = [name for name in re.findall(r"`([\w./-]+\.c)`", part) if (TREE / name).is_file()]
            sources = files or [path for folder in PROGRAMS for path in (TREE / folder).glob("*.c")]
            text = "".join((TREE / path).read_text() for path in sources)
            assert [name for name in functions if not re.search(rf"^(?:[\w* ]+\W)?{name}\(", text, re.M)] == [], line
    pictured = re.findall(r"^  (\w+)\(\) ", MAP, re.M)
    main = (TREE / "proxxy-conn.c").read_text()
    assert len(pictured) > 10 and [name for name in pictured if not re.search(rf"\b{name}\(", main)] == []
