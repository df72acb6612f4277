// SPDX-License-Identifier: Apache-2.0
// npm's jose: node jose.mjs seal|open KID, the key in SIGNATURE_KEY, a JWT's claims or a JWE on standard input.
import { readFileSync } from "node:fs";
// Where Debian and Ubuntu keep it.
import { EncryptJWT, jwtDecrypt } from "/usr/share/nodejs/jose/dist/node/esm/index.js";

const [what, kid] = process.argv.slice(2);
const key = Buffer.from(process.env.SIGNATURE_KEY, "hex");
const input = readFileSync(0, "utf8").trim();
if (what === "seal") {
  const header = { alg: "dir", enc: "A256GCM", typ: "JWT", kid };
  console.log(await new EncryptJWT(JSON.parse(input)).setProtectedHeader(header).encrypt(key));
} else {
  const { payload } = await jwtDecrypt(input, key, { contentEncryptionAlgorithms: ["A256GCM"] });
  console.log(JSON.stringify(payload));
}
