# SPDX-License-Identifier: Apache-2.0
"""Seals a console's details into the payload that the browser carries, as a backend does.

seal() makes the original's format: `<iv hex>:<ciphertext hex>`, AES-256-CBC with PKCS#7 padding over
the JSON of {vmid, type, host, node, ticket, vncticket, port}. seal_jwe() makes a JWE in compact
serialization (RFC 7516). It does so without a library, so that a test can make each part wrong.
"""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7


def seal(console: dict | bytes, key_hex: str, iv: bytes | None = None) -> str:
    """Seal a console. Bytes are sealed unchanged, for tests of payloads that must be refused."""
    plain = console
    if not isinstance(plain, bytes):
        plain = json.dumps(plain, separators=(",", ":")).encode()
    padder = PKCS7(algorithms.AES.block_size).padder()
    padded = padder.update(plain) + padder.finalize()
    iv = os.urandom(16) if iv is None else iv
    encryptor = Cipher(algorithms.AES(bytes.fromhex(key_hex)), modes.CBC(iv)).encryptor()
    return f"{iv.hex()}:{(encryptor.update(padded) + encryptor.finalize()).hex()}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def seal_jwe(claims: dict | bytes, key_hex: str, header: dict | bytes | None = None, **more: Any) -> str:
    """Seal a console as a JWE that expires in a minute unless exp is given. more are additional claims;
    None removes a claim."""
    if isinstance(claims, bytes):
        plain = claims
    else:
        members: dict[str, Any] = {"exp": int(time.time()) + 60, **claims, **more}
        plain = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
    if not isinstance(header, bytes):
        header = json.dumps({"alg": "dir", "enc": "A256GCM", **(header or {})}).encode()
    nonce, protected = os.urandom(12), base64url(header)
    sealed = AESGCM(bytes.fromhex(key_hex)).encrypt(nonce, plain, protected.encode())
    return ".".join([protected, "", *map(base64url, (nonce, sealed[:-16], sealed[-16:]))])


def target(payload: str, path: str = "/") -> str:
    """Returns the request target with a payload. The colon is not encoded: RFC 3986 allows it."""
    return f"{path}?payload={quote(payload, safe=':')}"


def protocols(payload: str) -> str:
    """Returns the value of Sec-WebSocket-Protocol that carries a payload."""
    return f"binary, proxxy.payload.{payload}"


def url(port: int, payload: str, path: str = "/") -> str:
    return f"ws://127.0.0.1:{port}{target(payload, path)}"


def decode_base64url(part: str) -> bytes:
    assert "=" not in part and "+" not in part and "/" not in part
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def unseal_jwe(payload: str, key: str) -> tuple[str, str]:
    protected, encrypted_key, nonce, sealed, tag = payload.split(".")
    assert encrypted_key == "" and len(decode_base64url(nonce)) == 12 and len(decode_base64url(tag)) == 16
    text = AESGCM(bytes.fromhex(key)).decrypt(
        decode_base64url(nonce), decode_base64url(sealed) + decode_base64url(tag), protected.encode()
    )
    return decode_base64url(protected).decode(), text.decode()


def unseal_cbc(payload: str, key: str) -> str:
    iv, sealed = map(bytes.fromhex, payload.split(":"))
    decryptor = Cipher(algorithms.AES(bytes.fromhex(key)), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return (unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()).decode()


def console(at: int, host: str = "127.0.0.1", **members: Any) -> dict[str, Any]:
    """Returns a payload's content for a console at that port of this machine."""
    return {
        "vmid": 100,
        "type": "qemu",
        "host": f"[{host}]:{at}" if ":" in host else f"{host}:{at}",
        "node": "pve01",
        "ticket": "PVEAPIToken=root@pam!proxxy=6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11",
        "vncticket": "aB3$ xyz:PVEVNC:65A1B2C3::c2lnbmF0dXJl",
        "port": "5900",
        **members,
    }
