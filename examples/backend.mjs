// SPDX-License-Identifier: Apache-2.0
// The backend's part in Node, with npm's jose: ask Proxmox for a console, and make the URL that the
// browser opens with noVNC.
import { randomUUID } from "node:crypto";
import { EncryptJWT } from "jose";

export async function consoleUrl({ proxxy, key, host, node, type, vmid, token }) {
  const answer = await fetch(`https://${host}/api2/json/nodes/${node}/${type}/${vmid}/vncproxy`, {
    method: "POST",
    headers: { Authorization: token, "Content-Type": "application/x-www-form-urlencoded" },
    body: "websocket=1&generate-password=1",
  });
  if (!answer.ok) throw new Error(`Proxmox: ${answer.status} ${answer.statusText}`);
  const { ticket, port, password, cert } = (await answer.json()).data; // there is no "vncticket" here

  const details = { vmid, type, host, node, ticket: token, vncticket: ticket, port, ca: cert };
  const payload = await new EncryptJWT(details)
    .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
    .setExpirationTime("60s")
    .setJti(randomUUID())
    .encrypt(Buffer.from(key, "hex"));
  return { url: `${proxxy}/?payload=${payload}`, password };
}
