// SPDX-License-Identifier: Apache-2.0
// The keys that the backend and proxxy share.
import { readFileSync } from "node:fs";
import { KeyFileError } from "./errors.js";

const KEYS_MAX = 8;
const NAME = /^[A-Za-z0-9._-]{1,32}$/;
const HEX = /^[0-9a-f]{64}$/i;

type NamedKey = { kid?: string; bytes: Uint8Array };

function parseKey(item: string): NamedKey {
  const colon = item.indexOf(":");
  const kid = colon < 0 ? undefined : item.slice(0, colon);
  const hex = item.slice(colon + 1);
  if (kid !== undefined && !NAME.test(kid))
    throw new KeyFileError("a key's name is not 1 to 32 letters, digits or -_.");
  if (!HEX.test(hex)) throw new KeyFileError("a key is not 64 hex digits");
  return { kid, bytes: Buffer.from(hex, "hex") };
}

/** What proxxy's key file contains: one key, or several with names. The first one seals, all of them open. */
export class Key {
  readonly #keys: NamedKey[];
  readonly #sealing: NamedKey;

  private constructor(keys: NamedKey[], sealing: NamedKey) {
    this.#keys = keys;
    this.#sealing = sealing;
  }

  /** text: 64 hex digits, or "NAME:HEX,NAME:HEX,…". kid: the name of the key that seals, if it is not the first. */
  static fromText(text: string, kid?: string): Key {
    const items = text.replace(/[ \t\r\n]+$/, "").replace(/,$/, "").split(",");
    if (items.length === 1 && items[0]!.trim() === "") throw new KeyFileError("there is no key");
    if (items.length > KEYS_MAX) throw new KeyFileError(`there are more than ${KEYS_MAX} keys`);
    const keys = items.map((item) => parseKey(item.replace(/^[ \t]+|[ \t]+$/g, "")));
    if (kid === undefined) return new Key(keys, keys[0]!);
    if (!NAME.test(kid)) throw new KeyFileError("kid is not 1 to 32 letters, digits or -_.");
    const [only] = keys;
    if (keys.length === 1 && only!.kid === undefined) return new Key(keys, { ...only!, kid });
    const named = keys.find((key) => key.kid === kid);
    if (!named) throw new KeyFileError("no key has this kid");
    return new Key(keys, named);
  }

  /** Reads a file such as /etc/proxxy/signature.key. */
  static fromFile(path: string, kid?: string): Key {
    let text;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      throw new KeyFileError(`the key file cannot be read: ${(error as Error).message}`);
    }
    return Key.fromText(text, kid);
  }

  /** The key that seals. */
  get sealing(): Readonly<NamedKey> {
    return this.#sealing;
  }

  /** The keys that may open a payload: those with its kid or without a name; all for a payload without a kid. */
  opening(kid?: string): readonly Readonly<NamedKey>[] {
    return this.#keys.filter((key) => kid === undefined || key.kid === undefined || key.kid === kid);
  }
}
