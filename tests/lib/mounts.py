# SPDX-License-Identifier: Apache-2.0
"""Commands in a mount namespace that has other files in the place of this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def with_mounts(places: dict[Path, Path], command: list[Any]) -> list[Any]:
    """The command in a mount namespace where each file or directory stands in another's place."""
    script = "".join(f'mount --bind "{ours}" "{theirs.resolve()}" && ' for ours, theirs in places.items())
    return ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", *command]
