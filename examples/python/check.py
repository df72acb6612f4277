#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks seal() with the test vectors: check.py ../../sdk/vectors.json"""

import json
import sys
from pathlib import Path

from jwcrypto.common import base64url_encode
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from link import seal


def unseal(payload, key):
    jwe = JWE()
    jwe.deserialize(payload, JWK(kty="oct", k=base64url_encode(bytes.fromhex(key))))
    return json.loads(jwe.payload)


vectors = [v for v in json.loads(Path(sys.argv[1]).read_text())["vectors"] if v["format"] == "jwe"]
for v in vectors:
    kid = json.loads(v["header"]).get("kid")
    for payload in v["payload"], seal(v["claims"], f"{kid}:{v['key']}" if kid else v["key"]):
        if unseal(payload, v["key"]) != v["claims"]:
            sys.exit(f"{v['name']}: differs")
print(f"{len(vectors)} vectors" if vectors else sys.exit("no vectors"))
