// SPDX-License-Identifier: Apache-2.0
// Example of the backend's part if proxxy shall have no token of its own, with npm's jose and proxmox-api (whose
// licence is GPL-3.0): it asks Proxmox for a guest's console, seals the answer, and makes a link for noVNC. The link
// must be opened within 10 seconds. Copy openConsole(), and seal() of link.ts. As a command: npm ci && npx tsc, then
// node ticket.js NODE VMID qemu|lxc
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { JWTPayload } from "jose";
import { proxmoxApi } from "proxmox-api";
import { Agent, fetch } from "undici";
import { seal } from "./link.js";

export type Guest = { host: string; node: string; type: "qemu" | "lxc"; vmid: number };

/** token is USER@REALM!NAME=SECRET; ca, in PEM, is the CA of Proxmox's certificate if the system does not have it. */
export async function openConsole(guest: Guest, token: string, keys: string, page: string, ca?: string) {
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
  claims.password = answer.password ?? answer.ticket; // proxxy logs in to the console, and the browser needs none
  claims.exp = Math.floor(Date.now() / 1000) + 60;
  claims.jti = randomUUID();
  // The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
  if (ca) claims.ca = ca;
  return `${page}novnc.html#payload=${await seal(claims, keys)}`;
}

try {
  const [node, vmid, type] = process.argv.slice(2);
  const env = process.env as Record<string, string>;
  const [token, keys, ca] = ["PROXMOX_TOKEN_FILE", "PROXXY_KEY_FILE", "PROXMOX_CA_FILE"].map((name) =>
    env[name] ? readFileSync(env[name], "utf8").trim() : "",
  );
  const guest: Guest = { host: env.PROXMOX_HOST, node, type: type === "lxc" ? "lxc" : "qemu", vmid: Number(vmid) };
  console.log(await openConsole(guest, token, keys, env.PROXXY_PAGE, ca || undefined));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1); // now: after an error of the connection proxmox-api keeps a timer for a minute
}
