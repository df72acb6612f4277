# SPDX-License-Identifier: Apache-2.0
"""What is packed of the libraries for backends has the files that it needs, can be installed, and makes a link in a
program with type checks."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from lib.activator import TREE
from lib.sdk import NPM, PYTHON, Built

SECONDS = 170
TYPESCRIPT = """\
import { ProxmoxError, Proxxy, type LinkOptions } from "@proxxy/sdk";

const options: LinkOptions = { vmid: 100, type: "qemu", cluster: "pve", jti: true, panel: ["https://a.example"] };
const proxxy = new Proxxy({ key: "00".repeat(32), page: "https://panel.example.com/console/" });
const link: string = await proxxy.link(options);
const claims = await proxxy.open(new URLSearchParams(link.split("#")[1]).get("payload") ?? "");
// @ts-expect-error: both
await proxxy.link({ ...options, host: "pve1", cluster: "pve" }).catch(() => {});
// @ts-expect-error: no such type
await proxxy.link({ vmid: 100, type: "vm", cluster: "pve" }).catch(() => {});
// @ts-expect-error: no such option
await proxxy.payload({ vmid: 100, type: "qemu", cluster: "pve", title: "x" }).catch(() => {});
const status: number = new ProxmoxError(403, "refused", "").status;
console.log(claims.vmid, status);
"""
PYTHON_PROGRAM = """\
from proxxy import Key, ProxmoxError, Proxxy

proxxy = Proxxy(key=Key("00" * 32), page="https://panel.example.com/console/")
link: str = proxxy.link(vmid=100, type="qemu", cluster="pve", jti=True, panel=["https://a.example"])
claims = proxxy.open(proxxy.payload(vmid=100, type="qemu", cluster="pve"))
status: int = ProxmoxError(403, "refused", "").status
print(claims["vmid"], status)
"""
PYTHON_MISTAKES = """
proxxy.link(vmid="100", type="qemu", cluster="pve")
proxxy.link(vmid=100, type="vm", cluster="pve")
proxxy.payload(vmid=100, type="qemu", cluster="pve", title="x")
"""


def run(command: list[str], place: Path, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


# --- npm -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = Built("typescript", tmp_path_factory.mktemp("npm"))
    (built.tree / "LICENSE").write_bytes((TREE / "LICENSE").read_bytes())
    # With the package's own scripts, as "npm pack" runs them.
    run(["npm", "pack", "--silent"], built.tree / "sdk" / "npm")
    [file] = (built.tree / "sdk" / "npm").glob("*.tgz")
    return file


def test_npm_tarball(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        package = json.load(archive.extractfile("package/package.json"))
    sources = {path.stem for path in (TREE / "sdk" / "npm" / "src").glob("*.ts")}
    built = {f"dist/{name}.{end}" for name in sources for end in ("js", "d.ts")}
    assert names == {"package.json", "README.md", "LICENSE", *built}
    assert list(package["dependencies"]) == ["jose"]
    assert package["exports"]["."] == {"types": "./dist/index.d.ts", "default": "./dist/index.js"}


def test_npm_package_is_used(tarball: Path, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    run([*NPM, "install", str(tarball), "typescript@5", "@types/node@18"], tmp_path)
    licences = {
        json.loads(path.read_text())["license"]
        for path in (tmp_path / "node_modules").glob("**/package.json")
        if "license" in path.read_text()
    }
    assert licences <= {"Apache-2.0", "MIT"}
    (tmp_path / "use.ts").write_text(TYPESCRIPT)
    run(["npx", "--no-install", "tsc", "--strict", "--module", "nodenext", "--target", "es2022", "use.ts"], tmp_path)
    assert run(["node", "use.js"], tmp_path) == "100 403\n"


@pytest.mark.parametrize("folder", ["sdk/npm", "examples/typescript"])
def test_lock_file_names_no_registry(folder: str) -> None:
    packages = json.loads((TREE / folder / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "://" in package.get("resolved", "")] == []
    assert "proxmox-api" not in str(packages)  # its licence is GPL-3.0


# --- Python ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = Built("python", tmp_path_factory.mktemp("wheel"))
    command = [PYTHON, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(built.tree), "."]
    run(command, built.tree / "sdk" / "python")
    [file] = built.tree.glob("*.whl")
    return file


def test_wheel(wheel: Path) -> None:
    assert wheel.name == "proxxy-1.0.0-py3-none-any.whl"
    info = "proxxy-1.0.0.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"{info}/METADATA").decode()
    modules = {f"proxxy/{path.name}" for path in (TREE / "sdk" / "python" / "proxxy").glob("*.py")}
    assert {name for name in names if not name.startswith(info)} == modules | {"proxxy/py.typed"}
    assert any(name.endswith("/LICENSE") for name in names)
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] in (
        ["Requires-Dist: jwcrypto (>=1.1)"], ["Requires-Dist: jwcrypto>=1.1"],
    )  # fmt: skip


def test_wheel_is_used(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    run([PYTHON, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "-t", str(place), str(wheel)], tmp_path)
    program = tmp_path / "use.py"
    program.write_text(PYTHON_PROGRAM)
    assert run([PYTHON, str(program)], tmp_path, PYTHONPATH=str(place)) == "100 403\n"
    check = ["mypy", "--strict", "--cache-dir", str(tmp_path / "mypy"), str(program)]
    run(check, tmp_path, MYPYPATH=str(place))
    program.write_text(PYTHON_PROGRAM + PYTHON_MISTAKES)
    done = subprocess.run(
        check, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(place)}, capture_output=True, text=True, timeout=SECONDS
    )
    lines = {line.split(":")[1] for line in done.stdout.splitlines() if ": error: " in line}
    first = PYTHON_PROGRAM.count("\n") + 2
    assert lines == {str(first), str(first + 1), str(first + 2)}, done.stdout


# --- PHP and Go ------------------------------------------------------------------------------

PHP_PROGRAM = """\
<?php
declare(strict_types=1);
require __DIR__ . '/LOADER';
use Proxxy\\{Console, InvalidOption, Proxxy};

$proxxy = new Proxxy(page: 'https://panel.example.com/console/', key: str_repeat('00', 32));
$guest = ['vmid' => 100, 'type' => 'qemu', 'cluster' => 'pve'];
$claims = $proxxy->open($proxxy->payload(new Console(...$guest)));
try {
    $proxxy->link(new Console(...['vmid' => 1] + $guest));
} catch (InvalidOption $error) {
    echo $claims['vmid'], " $error->option\\n";
}
"""
GO_MODULE = """\
module panel

go 1.19

require proxxy.example/proxxy v0.0.0

replace proxxy.example/proxxy => ../sdk/go
"""
GO_PROGRAM = """\
package main

import (
    "errors"
    "fmt"
    "strings"

    "proxxy.example/proxxy"
)

func main() {
    page := "https://panel.example.com/console/"
    library, _ := proxxy.New(proxxy.Options{Page: page, Key: strings.Repeat("00", 32)})
    payload, _ := library.Payload(proxxy.Console{VMID: 100, Type: "qemu", Cluster: "pve"})
    claims, _ := library.Open(payload)
    _, err := library.Link(proxxy.Console{VMID: 1, Type: "qemu", Cluster: "pve"})
    var wrong *proxxy.InvalidOptionError
    if errors.As(err, &wrong) {
        fmt.Println(claims["vmid"], wrong.Option)
    }
}
"""


@pytest.mark.parametrize("loader", ["vendor/autoload.php", "../sdk/php/autoload.php"])
def test_php_package_is_used(tmp_path: Path, loader: str) -> None:
    """By Composer, from a path; and without Composer."""
    built = Built("php", tmp_path)
    panel = built.tree / "panel"
    panel.mkdir()
    if loader.startswith("vendor"):
        package = {"repositories": [{"type": "path", "url": "../sdk/php"}], "require": {"proxxy/sdk": "@dev"}}
        (panel / "composer.json").write_text(json.dumps(package))
        run(["composer", "--no-interaction", "--quiet", "install"], panel, **built.environment())
    (panel / "use.php").write_text(PHP_PROGRAM.replace("LOADER", loader))
    assert run(["php", "use.php"], panel) == "100 vmid\n"


def test_go_module_can_be_vendored(tmp_path: Path) -> None:
    built = Built("go", tmp_path)
    panel = built.tree / "panel"
    panel.mkdir()
    (panel / "go.mod").write_text(GO_MODULE)
    (panel / "main.go").write_text(GO_PROGRAM)
    run(["go", "mod", "vendor"], panel, **built.environment())
    (built.tree / "sdk" / "go" / "go.mod").unlink()
    assert run(["go", "run", "."], panel, **built.environment()) == "100 VMID\n"
    module = (TREE / "sdk" / "go" / "go.mod").read_text()
    assert "require" not in module  # only the standard library
