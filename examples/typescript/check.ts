// SPDX-License-Identifier: Apache-2.0
// Checks seal() with the test vectors: node check.js ../../sdk/vectors.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CompactEncrypt, compactDecrypt } from "jose";
import { seal } from "./link.js";

const { vectors: all } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const vectors = all.filter((v: { format: string }) => v.format === "jwe");
for (const v of vectors) {
  const [key, nonce, header] = [Buffer.from(v.key, "hex"), Buffer.from(v.nonce, "hex"), JSON.parse(v.header)];
  const exact = new CompactEncrypt(Buffer.from(v.plaintext)).setProtectedHeader(header);
  assert.equal(await exact.setInitializationVector(nonce).encrypt(key), v.payload, v.name);
  for (const jwe of [v.payload, await seal(v.claims, header.kid ? `${header.kid}:${v.key}` : v.key)]) {
    const { plaintext } = await compactDecrypt(jwe, key);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(plaintext)), v.claims, v.name);
  }
}
assert(vectors.length > 0, "no vectors");
console.log(`${vectors.length} vectors`);
