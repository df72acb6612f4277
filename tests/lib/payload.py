# SPDX-License-Identifier: Apache-2.0
"""What a backend does: seal a console's details into the payload that the browser carries.

The format is the original's: `<iv hex>:<ciphertext hex>`, AES-256-CBC with PKCS#7 padding over
the JSON of {vmid, type, host, node, ticket, vncticket, port}.
"""

from __future__ import annotations

import json
import os
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7


def seal(console: dict | bytes, key_hex: str, iv: bytes | None = None) -> str:
    """Seal a console, or any bytes as they are for the tests of what must be refused."""
    plain = console
    if not isinstance(plain, bytes):
        plain = json.dumps(plain, separators=(",", ":")).encode()
    padder = PKCS7(algorithms.AES.block_size).padder()
    padded = padder.update(plain) + padder.finalize()
    iv = os.urandom(16) if iv is None else iv
    encryptor = Cipher(algorithms.AES(bytes.fromhex(key_hex)), modes.CBC(iv)).encryptor()
    return f"{iv.hex()}:{(encryptor.update(padded) + encryptor.finalize()).hex()}"


def target(payload: str, path: str = "/") -> str:
    """The request target that carries a payload. The colon stays as it is: RFC 3986 allows it."""
    return f"{path}?payload={quote(payload, safe=':')}"


def url(port: int, payload: str, path: str = "/") -> str:
    return f"ws://127.0.0.1:{port}{target(payload, path)}"
