# SPDX-License-Identifier: Apache-2.0
"""Tests of the package: python3 -m unittest in the folder above. The vectors and cases are those of all languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SDK = Path(__file__).resolve().parents[2]
VECTORS: dict[str, Any] = json.loads((_SDK / "vectors.json").read_text(encoding="utf-8"))
CASES: dict[str, Any] = json.loads((_SDK / "cases.json").read_text(encoding="utf-8"))
KEY = bytes(range(32)).hex()  # of the cases
PAGE = "https://panel.example.com/console/"
