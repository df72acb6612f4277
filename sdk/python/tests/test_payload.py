# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
import unittest
from typing import Any

from proxxy import InvalidOption, Key, Proxxy
from proxxy._jwe import seal

from . import KEY, PAGE, VECTORS

JWE = [vector for vector in VECTORS["vectors"] if vector["format"] == "jwe"]
GUEST: dict[str, Any] = {"vmid": 100, "type": "qemu", "cluster": "pve"}


def proxxy_with(key: str) -> Proxxy:
    return Proxxy(key=key, page=PAGE)


def key_of(vector: dict[str, Any]) -> str:
    kid = json.loads(vector["header"]).get("kid")
    return f"{kid}:{vector['key']}" if kid else vector["key"]


def encoded(header: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")


class Payload(unittest.TestCase):
    def refused(self, proxxy: Proxxy, payload: Any) -> InvalidOption:
        with self.assertRaises(InvalidOption) as caught:
            proxxy.open(payload)
        self.assertEqual(caught.exception.option, "payload")
        return caught.exception

    def test_opens_the_vectors(self) -> None:
        for vector in JWE:
            with self.subTest(vector["name"]):
                self.assertEqual(proxxy_with(key_of(vector)).open(vector["payload"]), vector["claims"])
        self.assertGreater(len(JWE), 10)

    def test_seals_what_it_opens(self) -> None:
        for vector in JWE:
            key = key_of(vector)
            with self.subTest(vector["name"]):
                self.assertEqual(proxxy_with(key).open(seal(vector["plaintext"], Key(key))), vector["claims"])

    def test_opens_nothing_that_proxxy_refuses_except_where_only_proxxy_knows_the_clusters(self) -> None:
        for vector in VECTORS["refused"]:
            proxxy = proxxy_with(vector["key"])
            with self.subTest(vector["name"]):
                if any(words in vector["why"] for words in ("no cluster file", "cluster file of proxxy")):
                    self.assertEqual(proxxy.open(vector["payload"]), json.loads(vector["plaintext"]))
                else:
                    self.refused(proxxy, vector["payload"])

    def test_opens_no_other_text(self) -> None:
        payload = proxxy_with(KEY).payload(**GUEST)
        header, _, nonce, cipher, tag = payload.split(".")
        wrong: list[Any] = [None, 1, "", "x", f"{payload}.", f" {payload}", f"{payload}\n"]
        wrong += [".".join([header, "AAAA", nonce, cipher, tag]), ".".join([header, "", nonce, f"{cipher}=", tag])]
        headers: list[dict[str, str]] = [{"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, {"alg": "none"}, {}]
        for other in headers:
            wrong.append(".".join([encoded(other), "", nonce, cipher, tag]))
        wrong.append(".".join(["x", "", nonce, cipher, tag]))
        for text in wrong:
            with self.subTest(text):
                self.refused(proxxy_with(KEY), text)

    def test_opens_no_text_that_is_not_strict_json(self) -> None:
        texts = ['{"a":1,"a":2}', '{"a":[{"b":1,"b":2}]}', '{"a":1,"\\u0061":2}', "[]", "1", '{"a":"\\ud800"}', "null"]
        for text in [*texts, '{"a":"\\u0000"}', '{"a":NaN}', '{"a":1}x', "[" * 5000]:
            with self.subTest(text[:20]):
                error = self.refused(proxxy_with(KEY), seal(text, Key(KEY)))
                self.assertEqual(str(error), "payload is not a JSON object")

    def test_a_key_without_a_name_and_one_with_the_payloads_open_it(self) -> None:
        other = "00" * 32
        payload = proxxy_with(f"a:{KEY}").payload(**GUEST)
        for keys in (f"a:{KEY}", KEY, f"b:{other},a:{KEY}", f"a:{other},a:{KEY}"):
            self.assertEqual(proxxy_with(keys).open(payload)["vmid"], 100)
        for keys in (f"b:{KEY}", other, f"b:{KEY},a:{other}"):
            self.refused(proxxy_with(keys), payload)
