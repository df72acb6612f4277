// SPDX-License-Identifier: Apache-2.0
// Example of the backend's part, with npm's jose: it makes a link that opens a guest's console until it expires. It
// does not talk to Proxmox: proxxy asks Proxmox each time the link is opened. Copy consoleLink() and seal(). As a
// command: npm ci && npx tsc, then node link.js VMID qemu|lxc USER
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EncryptJWT, type JWTPayload } from "jose";

export type Guest = { cluster: string; type: "qemu" | "lxc"; vmid: number };

/** Returns a link for the user. Before, check that this user may open the guest's console. */
export async function consoleLink(guest: Guest, user: string, keys: string, page: string) {
  const now = Math.floor(Date.now() / 1000);
  const payload = await seal({ ...guest, sub: user, iat: now, exp: now + 300 }, keys);
  // Optional: jti, a unique text, if the link shall open one console only; origin, the panel's, so that only its pages
  // can use the link. A terminal: protocol "term", and xterm.html. host may replace cluster.
  return `${page}novnc.html#payload=${payload}`;
}

/** Seals with the first of keys, which are "HEX" or "NAME:HEX", separated by commas. */
export async function seal(claims: JWTPayload, keys: string) {
  const [, kid, hex] = /^(?:([\w.-]+):)?([0-9a-f]{64})(?:,|$)/i.exec(keys.trim()) ?? [];
  if (!hex) throw new Error("the key is not 64 hex digits");
  const jwt = new EncryptJWT(claims).setProtectedHeader({ alg: "dir", enc: "A256GCM", kid });
  return jwt.encrypt(Buffer.from(hex, "hex"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { PROXXY_CLUSTER: cluster = "", PROXXY_KEY_FILE = "", PROXXY_PAGE = "" } = process.env;
  const [vmid, type, user] = process.argv.slice(2);
  const guest: Guest = { vmid: Number(vmid), type: type === "lxc" ? "lxc" : "qemu", cluster };
  console.log(await consoleLink(guest, user, readFileSync(PROXXY_KEY_FILE, "utf8"), PROXXY_PAGE));
}
