# SPDX-License-Identifier: Apache-2.0
"""Parses a payload's text as strictly as proxxy does."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ._claims import Claims, is_text
from .errors import InvalidOption


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _has_only_text(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_text(name) and _has_only_text(member) for name, member in value.items())
    if isinstance(value, list):
        return all(map(_has_only_text, value))
    return not isinstance(value, str) or is_text(value)


def parse_claims(text: str) -> Claims:
    try:
        claims = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
        if isinstance(claims, dict) and _has_only_text(claims):
            return claims
    except (ValueError, RecursionError):
        pass
    raise InvalidOption("payload", "is not a JSON object")
