// SPDX-License-Identifier: Apache-2.0
// A payload's encryption: JWE in compact serialization (RFC 7516), with npm's jose.
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from "jose";
import { InvalidOption } from "./errors.js";
import type { Key } from "./key.js";

const HEADER = { alg: "dir", enc: "A256GCM" };
// Without an encrypted key, with a nonce of 12 and a tag of 16 bytes.
const PARTS = /^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/;

/** nonce is for tests: with one key, it must never be used twice. */
export function seal(text: string, { sealing }: Key, nonce?: Uint8Array): Promise<string> {
  const header = sealing.kid === undefined ? HEADER : { ...HEADER, kid: sealing.kid };
  const jwe = new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader(header);
  if (nonce) jwe.setInitializationVector(nonce);
  return jwe.encrypt(sealing.bytes);
}

/** Returns a payload's text, or throws InvalidOption. */
export async function unseal(payload: string, key: Key): Promise<string> {
  const kid = PARTS.test(payload) ? readKid(payload) : null;
  if (kid === null) throw new InvalidOption("payload", "is not a JWE of five parts, with dots between them");
  for (const { bytes } of key.opening(kid)) {
    let plaintext;
    try {
      ({ plaintext } = await compactDecrypt(payload, bytes));
    } catch {
      continue; // another key's
    }
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(plaintext);
    } catch {
      throw new InvalidOption("payload", "is not a JSON object");
    }
  }
  throw new InvalidOption("payload", "was not made with this key, or was changed on its way");
}

/** Checks the header and returns its kid, undefined if it has none. */
function readKid(payload: string): string | undefined {
  let header;
  try {
    header = decodeProtectedHeader(payload);
  } catch {
    throw new InvalidOption("payload", "has a header that is not JSON in base64url");
  }
  const { alg, enc, kid } = header;
  if (alg !== HEADER.alg) throw new InvalidOption("payload", "has an alg that is not dir");
  if (enc !== HEADER.enc) throw new InvalidOption("payload", "has an enc that is not A256GCM");
  if ("zip" in header || "crit" in header) throw new InvalidOption("payload", "requires an extension, zip or crit");
  if ("kid" in header && (typeof kid !== "string" || kid === "" || kid.length > 32))
    throw new InvalidOption("payload", "has a kid that is not the name of a key");
  return kid;
}
