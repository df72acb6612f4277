// SPDX-License-Identifier: Apache-2.0
// Example of the backend's part, with npm's jose and proxmox-api (whose licence is GPL-3.0): it asks Proxmox for a
// guest's console, seals the answer, and hands the URL to noVNC. Copy openConsole() and seal(). As a command: npm ci &&
// npx tsc, then node console.js [check ../vectors.json]
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { CompactEncrypt, compactDecrypt, EncryptJWT, type JWTPayload } from "jose";
import { proxmoxApi } from "proxmox-api";
import { Agent, fetch } from "undici";

export type Guest = { host: string; node: string; type: "qemu" | "lxc"; vmid: number };

/** token is USER@REALM!NAME=SECRET; ca, in PEM, is the CA of Proxmox's certificate if the system does not have it. */
export async function openConsole(guest: Guest, token: string, keys: string, proxxy: string, ca?: string) {
  const { host, node, type, vmid } = guest;
  const [, hostname, port = "8006"] = /^(.*?)(?::(\d+))?$/.exec(host)!; // without one proxmox-api would take 443
  const [tokenID, tokenSecret] = token.split("=");
  const dispatcher = new Agent({ connect: { ca, rejectUnauthorized: true } }); // whatever the environment says
  const api = proxmoxApi({
    host: hostname,
    port: Number(port),
    tokenID,
    tokenSecret,
    fetch: (url, init) => fetch(url, { ...init, dispatcher }),
  }).nodes.$(node);
  const ask = (options: { "generate-password"?: true }) =>
    api.qemu.$(vmid).vncproxy.$post({ websocket: true, ...options });
  const answer =
    type === "qemu"
      ? await ask({ "generate-password": true }).catch((error: Error) => {
          // Since 9.2 Proxmox always sends a VM's password, and plans to remove the parameter.
          if (!/ 400 .*"generate-password"/s.test(error.message)) throw error;
          return ask({});
        })
      : await api.lxc.$(vmid).vncproxy.$post({ websocket: true }); // its ticket is the password
  const claims: JWTPayload = { vmid, type, host, node, ticket: `PVEAPIToken=${token}`, vncticket: answer.ticket };
  claims.port = answer.port;
  claims.exp = Math.floor(Date.now() / 1000) + 60;
  claims.jti = randomUUID();
  // The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
  if (ca) claims.ca = ca;
  const password: string = answer.password ?? answer.ticket;
  return { websocket: `${proxxy}?payload=${await seal(claims, keys)}`, password };
}

/** Seals with the first of keys, which are "HEX" or "NAME:HEX", separated by commas. */
export async function seal(claims: JWTPayload, keys: string) {
  const [, kid, hex] = /^(?:([\w.-]+):)?([0-9a-f]{64})(?:,|$)/i.exec(keys.trim()) ?? [];
  if (!hex) throw new Error("the key is not 64 hex digits");
  const jwt = new EncryptJWT(claims).setProtectedHeader({ alg: "dir", enc: "A256GCM", kid });
  return jwt.encrypt(Buffer.from(hex, "hex"));
}

async function check(file: string) {
  const vectors = JSON.parse(readFileSync(file, "utf8")).vectors.filter((v: { format: string }) => v.format === "jwe");
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
  return `${vectors.length} vectors`;
}

async function main(env = process.env as Record<string, string>) {
  const [token, keys, ca] = ["PROXMOX_TOKEN_FILE", "PROXXY_KEY_FILE", "PROXMOX_CA_FILE"].map((name) =>
    env[name] ? readFileSync(env[name], "utf8").trim() : "",
  );
  const type = env.PROXMOX_TYPE === "lxc" ? "lxc" : "qemu";
  const guest: Guest = { host: env.PROXMOX_HOST, node: env.PROXMOX_NODE, type, vmid: Number(env.PROXMOX_VMID) };
  return JSON.stringify(await openConsole(guest, token, keys, env.PROXXY_WEBSOCKET, ca || undefined));
}

try {
  console.log(process.argv[2] === "check" ? await check(process.argv[3]) : await main());
} catch (error) {
  console.error((error as Error).message);
  process.exit(1); // now: after an error of the connection proxmox-api keeps a timer for a minute
}
