# SPDX-License-Identifier: Apache-2.0
"""Runs commands in a mount namespace where other files replace some of this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def with_mounts(places: dict[Path, Path], command: list[Any]) -> list[Any]:
    """Returns the command wrapped to run in a mount namespace where each given path is mounted over another."""
    script = "".join(f'mount --bind "{ours}" "{theirs.resolve()}" && ' for ours, theirs in places.items())
    return ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", *command]
