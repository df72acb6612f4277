# SPDX-License-Identifier: Apache-2.0
"""Python's jwcrypto: python3 jwcrypto.py seal|open KID, as jose.mjs."""

import json
import os
import sys

sys.path.pop(0)  # this file has the library's name
from jwcrypto.jwe import JWE  # noqa: E402
from jwcrypto.jwk import JWK  # noqa: E402
from jwcrypto.common import base64url_encode  # noqa: E402

key = JWK(kty="oct", k=base64url_encode(bytes.fromhex(os.environ["SIGNATURE_KEY"])))
if sys.argv[1] == "seal":
    header = {"alg": "dir", "enc": "A256GCM", "kid": sys.argv[2]}
    sealed = JWE(sys.stdin.read().encode(), json.dumps(header))
    sealed.add_recipient(key)
    print(sealed.serialize(compact=True))
else:
    opened = JWE()
    opened.deserialize(sys.stdin.read().strip(), key)
    print(opened.payload.decode())
