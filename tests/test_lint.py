# SPDX-License-Identifier: Apache-2.0
"""tests/lint finds each kind of fault, in small trees with one fault each."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lib import layers, text_rules
from lib.activator import TREE

SECONDS = 60.0
LICENCE = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def write(root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return sorted(files)


# --- layers -------------------------------------------------------------------------------------

HEADERS = {name: "" for name in ("lib/io.h", "lib/list.h", "session/relay.h", "url/client.h", "status/page.h")}
HEADERS |= {"crypto.h": "", "ws.h": ""}
ALLOWED = {
    "lib/io.c": ["lib/io.h", "crypto.h", "ws.h"],
    "crypto.c": ["crypto.h", "lib/list.h"],
    "proxxy-conn.c": ["session/relay.h", "lib/io.h", "crypto.h"],
    "session/relay.c": ["session/relay.h", "lib/io.h", "ws.h"],
    "url/client.c": ["url/client.h", "lib/io.h"],
    "status/page.c": ["status/page.h", "lib/io.h"],
    "tests/unit/test_ws.c": ["ws.h", "session/relay.h", "url/client.h"],
}
FORBIDDEN = [
    ("lib/io.c", "session/relay.h"),
    ("crypto.c", "url/client.h"),
    ("ws.c", "status/page.h"),
    ("lib/io.h", "url/client.h"),
    ("proxxy-conn.c", "url/client.h"),
    ("session/relay.c", "url/client.h"),
    ("session/relay.c", "status/page.h"),
    ("url/client.c", "session/relay.h"),
    ("status/page.c", "url/client.h"),
    ("bench/load.c", "session/relay.h"),
]


def include(*names: str) -> str:
    return LICENCE + "".join(f'#include "{name}"\n' for name in names)


def test_layers_allow_what_is_below(tmp_path: Path) -> None:
    files = HEADERS | {name: include(*names) for name, names in ALLOWED.items()}
    assert layers.check(tmp_path, write(tmp_path, files)) == []


@pytest.mark.parametrize("file, name", FORBIDDEN)
def test_layers_refuse_what_is_above_or_beside(tmp_path: Path, file: str, name: str) -> None:
    [found] = layers.check(tmp_path, write(tmp_path, HEADERS | {file: include(name)}))
    assert found.startswith(f'{file}:2: may not include "{name}"')


@pytest.mark.parametrize("name", ["io.h", "../lib/io.h", "lib/gone.h"])
def test_layers_want_paths_from_the_root(tmp_path: Path, name: str) -> None:
    [found] = layers.check(tmp_path, write(tmp_path, HEADERS | {"lib/io.c": include(name)}))
    assert found.startswith(f'lib/io.c:2: "{name}" is no file')


def test_layers_find_a_circle(tmp_path: Path) -> None:
    files = {"lib/a.c": include("lib/a.h", "lib/b.h"), "lib/a.h": "", "lib/b.h": "", "lib/c.h": include("lib/a.h")}
    files["lib/b.c"] = include("lib/c.h")
    [found] = layers.check(tmp_path, write(tmp_path, files))
    assert found == "lib/a.c:3: modules include each other in a circle: lib/a > lib/b > lib/c > lib/a"


def test_layers_know_every_folder(tmp_path: Path) -> None:
    [found] = layers.check(tmp_path, write(tmp_path, {"new/file.c": LICENCE}))
    assert found.startswith("new/file.c:1: ")


# --- text ---------------------------------------------------------------------------------------

TEXTS = [
    ("a.c", LICENCE + "\t" + "x" * 112 + "\n", None),
    ("a.c", LICENCE + "\t" + "x" * 113 + "\n", "a.c:2: 121 columns"),
    ("a.md", "| " + "x" * 130 + "\n", None),
    ("a.md", "x" * 130 + "\n", "a.md:1: 130 columns"),
    ("a.c", LICENCE + "int a; \n", "a.c:2: white space at the end"),
    ("a.c", LICENCE + "int a;\r\n", "a.c:2: white space at the end"),
    ("a.c", LICENCE + " \tint a;\n", "a.c:2: a space before a tab"),
    ("a.py", f"# {text_rules.LICENCE}\nif a:\n\tb()\n", "a.py:3: a tab"),
    ("a.c", LICENCE + "int a;", "a.c:2: does not end in one newline"),
    ("a.c", LICENCE + "int a;\n\n", "a.c:4: does not end in one newline"),
    ("a.c", "int a;\n", "a.c:1: no line SPDX"),
    ("a.c", LICENCE + "\xff\n", None),
]


@pytest.mark.parametrize("name, text, want", TEXTS)
def test_text(tmp_path: Path, name: str, text: str, want: str | None) -> None:
    found = text_rules.check(tmp_path, write(tmp_path, {name: text}))
    assert (found == []) if want is None else (len(found) == 1 and found[0].startswith(want)), found


def test_text_is_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_bytes(LICENCE.encode() + b"\xff\n")
    assert text_rules.check(tmp_path, ["a.c"]) == ["a.c:1: is not UTF-8"]


def test_comments_are_narrower_than_code() -> None:
    text = "\n".join([f"int {'a' * 100};", f"/* {'b' * 100}", "c", f"   {'d' * 100} */", f"int {'e' * 100};"])
    assert [line.split(":")[1] for line in text_rules.long_comments("a.c", text)] == ["2", "4"]


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with tests/lint and one C file without a fault."""
    for name in ("tests/lint", "tests/lib/__init__.py", "tests/lib/layers.py", "tests/lib/text_rules.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TREE / name, tmp_path / name)
    (tmp_path / "compile_commands.json").write_text("[]\n")
    (tmp_path / ".gitignore").write_text("/compile_commands.json\n__pycache__/\n")
    write(tmp_path, HEADERS | {"lib/io.c": include("lib/io.h")})
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=SECONDS)
    return tmp_path


def lint(tree: Path, *checks: str, path: str = "/usr/bin:/bin") -> tuple[int, list[str]]:
    command = ["/usr/bin/python3", str(tree / "tests" / "lint"), *checks]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_nothing_found(tree: Path) -> None:
    status, lines = lint(tree, "layers")
    assert status == 0 and lines[0].startswith("== layers: ") and lines[1:] == ["lint: 0 findings"]


def test_a_finding_fails(tree: Path) -> None:
    (tree / "lib" / "io.c").write_text(include("session/relay.h"))
    status, lines = lint(tree, "layers")
    assert status == 1 and lines[1].startswith('lib/io.c:2: may not include "session/relay.h"')
    assert lines[2:] == ["lint: 1 finding"]


def test_a_wide_comment_fails(tree: Path) -> None:
    (tree / "lib" / "io.c").write_text(f"/* {'x' * 100} */\n")
    status, lines = lint(tree, "comments")
    assert status == 1 and lines[1:] == ["lib/io.c:1: a comment of 106 columns, more than 100", "lint: 1 finding"]


def test_a_missing_program_is_named_with_what_installs_it(tree: Path) -> None:
    few = tree / "bin"
    few.mkdir()
    (few / "git").symlink_to("/usr/bin/git")
    status, lines = lint(tree, "shell", path=str(few))
    assert status == 1
    assert lines[1] == "shellcheck is missing. On Debian and Ubuntu, this installs it: tests/install-packages lint"


def test_a_program_that_fails_is_a_finding(tree: Path) -> None:
    few = tree / "bin"
    few.mkdir()
    (few / "git").symlink_to("/usr/bin/git")
    (few / "shellcheck").write_text("#!/bin/sh\necho 'no such option' >&2\nexit 2\n")
    (few / "shellcheck").chmod(0o755)
    status, lines = lint(tree, "shell", path=f"{few}:/bin")
    assert status == 1 and lines[1] == "shellcheck failed with status 2: no such option"


def test_no_such_check(tree: Path) -> None:
    status, [line] = lint(tree, "layer")
    assert status == 64 and line.startswith("lint: no check layer. Checks: ")
