# SPDX-License-Identifier: Apache-2.0
"""The test vectors and cases of the libraries for backends are what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from lib.activator import TREE
from lib.payload import decode_base64url, unseal_cbc, unseal_jwe

VECTORS, REFUSED = (
    json.loads((TREE / "sdk" / "vectors.json").read_text())[name] for name in ("vectors", "refused")
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector_is_what_it_says(vector: dict[str, Any]) -> None:
    if vector["format"] == "jwe":
        assert unseal_jwe(vector["payload"], vector["key"]) == (vector["header"], vector["plaintext"])
        assert decode_base64url(vector["payload"].split(".")[2]).hex() == vector["nonce"]
    else:
        assert unseal_cbc(vector["payload"], vector["key"]) == vector["plaintext"]
        assert vector["payload"].split(":")[0] == vector["iv"]
    assert json.loads(vector["plaintext"]) == vector["claims"]


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector["name"])
def test_refused_vector_is_what_it_says(vector: dict[str, Any]) -> None:
    """test_proxxy_url_payloads.py shows that proxxy refuses it with these words."""
    open_it = unseal_cbc if vector["format"] == "cbc" else unseal_jwe
    if vector["plaintext"] is None:
        with pytest.raises((InvalidTag, AssertionError)):
            open_it(vector["payload"], vector["key"])
    else:
        text = open_it(vector["payload"], vector["key"])
        assert (text if vector["format"] == "cbc" else text[1]) == vector["plaintext"]


def test_vectors_have_every_case() -> None:
    jwe, cbc = ([vector for vector in VECTORS if vector["format"] == name] for name in ("jwe", "cbc"))
    assert {len(vector["plaintext"].encode()) % 16 for vector in cbc} >= {15, 0, 1}
    assert {"kid" in json.loads(vector["header"]) for vector in jwe} == {True, False}
    assert {"vncticket" in vector["claims"] for vector in jwe} == {True, False}
    assert len({vector["key"] for vector in jwe}) > 1 and len({vector["key"] for vector in cbc}) > 1
    manual = (TREE / "man" / "proxxy-payload.7").read_text()
    members = {line.split()[2] for line in manual.splitlines() if line.startswith(".It Li ")}
    assert len({name for vector in jwe for name in vector["claims"]} & members) >= 15


def test_cases_have_every_member_and_claim() -> None:
    """An option of the libraries for each member of a payload, and for each parameter of the page."""
    cases = json.loads((TREE / "sdk" / "cases.json").read_text())
    manual = (TREE / "man" / "proxxy-payload.7").read_text()
    members = {line.split()[2] for line in manual.splitlines() if line.startswith(".It Li ")} - {"exp", "iat"}
    assert {name for case in cases["links"] for name in case["claims"]} == members
    readme = (TREE / "sdk" / "README.md").read_text()
    options = {name for case in cases["links"] for name in case["options"]}
    assert [name for name in options | {"expiresIn"} if f"`{name}`" not in readme] == []
    wrong = {case["option"] for case in cases["invalid"]}
    assert options - wrong == {"viewOnly"}  # a type says all of it
