# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import tempfile
import traceback
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from proxxy import InvalidOption, Key, KeyFileError, Proxmox, Proxxy, ProxxyError
from proxxy._host import is_network, parse_host

from . import CASES, KEY, PAGE

GUEST: dict[str, Any] = {"vmid": 100, "type": "qemu", "cluster": "pve"}
SECRET = "6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"


def snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    return {snake(name): value for name, value in case["options"].items()}


class Options(unittest.TestCase):
    proxxy = Proxxy(key=KEY, page=PAGE)

    def invalid(self, option: str, **options: Any) -> InvalidOption:
        with self.assertRaises(InvalidOption) as caught:
            self.proxxy.link(**options)
        self.assertEqual(caught.exception.option, option)
        return caught.exception

    def test_the_shared_cases(self) -> None:
        for case in CASES["links"]:
            with self.subTest(case["name"]):
                address, _, fragment = self.proxxy.link(**arguments(case)).partition("#")
                (_, payload), *others = parse_qsl(fragment, strict_parsing=True)
                claims = self.proxxy.open(payload)
                self.assertEqual(claims.pop("exp") - claims.pop("iat"), case["lifetime"])
                self.assertEqual(address, PAGE + case["page"])
                self.assertEqual(others, [tuple(pair) for pair in case["fragment"]])
                expected = {"protocol": "vnc", **case["claims"]}
                self.assertEqual({"protocol": "vnc", **claims}, expected)

    def test_the_shared_mistakes(self) -> None:
        for case in CASES["invalid"]:
            with self.subTest(case["name"]):
                self.invalid(snake(case["option"]), **arguments(case))

    def test_mistakes_of_type(self) -> None:
        wrong: list[tuple[str, Any]] = [("expires_in", 1.5), ("expires_in", "60"), ("expires_in", True)]
        wrong += [("vmid", "100"), ("vmid", 100.0), ("vmid", True), ("sub", 1.5), ("sub", "\ud800"), ("sub", True)]
        wrong += [("jti", False), ("jti", 1), ("panel", "https://a.example"), ("view_only", 1), ("session_max", 1.0)]
        for option, value in wrong:
            with self.subTest(f"{option}={value!r}"):
                self.invalid(option, **{**GUEST, option: value})
        unknown: dict[str, Any] = {"expires": 60}
        with self.assertRaises(TypeError):
            self.proxxy.link(**GUEST, **unknown)
        of_link: dict[str, Any] = {"title": "x"}
        with self.assertRaises(TypeError):
            self.proxxy.payload(**GUEST, **of_link)

    def test_a_payload_that_is_too_long_for_a_request(self) -> None:
        self.invalid("payload", **GUEST, sub="x" * 12_000)
        self.proxxy.payload(**GUEST, sub="x" * 11_000)

    def test_keys(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "signature.key")
            for case in CASES["keys"]["good"]:
                kid = case.get("kid")
                file.write_text(case["text"])
                for key in (Key(case["text"], kid), Key.from_file(file, kid), Key.from_file(str(file), kid)):
                    self.assertEqual(key.sealing.kid, case["header"])
                    self.assertEqual(key.sealing.secret.hex(), KEY)
            for case in CASES["keys"]["bad"]:
                file.write_text(case["text"])
                sources: list[dict[str, Any]] = [{"key": case["text"]}, {"key_file": file}]
                for settings in sources:
                    with self.subTest(case), self.assertRaises(KeyFileError):
                        Proxxy(**settings, kid=case.get("kid"), page=PAGE)
            file.write_bytes(b"\xff")
            for path in (file, Path(folder, "none")):
                with self.assertRaises(KeyFileError):
                    Key.from_file(path)

    def test_pages(self) -> None:
        for page in CASES["pages"]["good"]:
            Proxxy(key=KEY, page=page)
        for page in CASES["pages"]["bad"]:
            with self.subTest(page), self.assertRaises(InvalidOption) as caught:
                Proxxy(key=KEY, page=page)
            self.assertEqual(caught.exception.option, "page")
        wrong: list[dict[str, Any]] = [{}, {"key": KEY, "key_file": "x"}]
        for settings in wrong:
            with self.assertRaises(InvalidOption):
                Proxxy(page=PAGE, **settings)

    def test_nothing_that_is_printed_has_a_secret(self) -> None:
        key = Key(KEY)
        proxmox = Proxmox(host="pve1", token=f"a@pve!b={SECRET}")
        shown = repr([self.proxxy, key, key.sealing, proxmox])
        self.assertNotIn(SECRET, shown)
        self.assertNotIn("\\x01\\x02\\x03", shown)
        error = self.invalid("csrf", vmid=100, type="qemu", host="pve1", ticket=f"PVE:{SECRET}")
        self.assertIsInstance(error, ProxxyError)
        self.assertNotIn(SECRET, "".join(traceback.format_exception(error)))
        with self.assertRaises(InvalidOption) as caught:
            Proxmox(host="pve1", token=SECRET)
        self.assertNotIn(SECRET, str(caught.exception))


class Hosts(unittest.TestCase):
    def test_the_last_part_of_an_ipv6_address_is_no_port(self) -> None:
        for text, shown in {
            "2001:db8::1": "[2001:db8::1]:8006",
            "2001:db8::8007": "[2001:db8::8007]:8006",
            "[2001:db8::1]": "[2001:db8::1]:8006",
            "[2001:db8::1]:443": "[2001:db8::1]:443",
            "::ffff:192.0.2.1": "[::ffff:192.0.2.1]:8006",
            "192.0.2.1:443": "192.0.2.1:443",
            "pve1.example.com.:443": "pve1.example.com:443",
            "pve1": "pve1:8006",
        }.items():
            host = parse_host(text)
            self.assertEqual(host and host.authority(8006), shown)

    def test_networks_have_no_bits_behind_their_prefix(self) -> None:
        for network in ("192.0.2.0/24", "192.0.2.128/25", "2001:db8::/32", "::/0", "::1", "::ffff:192.0.2.0/120"):
            self.assertTrue(is_network(network), network)
        for network in ("192.0.2.1/24", "192.0.2.0/255.255.255.0", "::1/127", "192.0.2.0/", "/8", "fe80::1%eth0", ""):
            self.assertFalse(is_network(network), network)
