// SPDX-License-Identifier: Apache-2.0
// The backend's part in Node, with nothing but its standard library: ask Proxmox for a console,
// and make the URL that the browser opens with noVNC.
import { createCipheriv, randomBytes } from "node:crypto";

export async function consoleUrl({ proxxy, key, host, node, type, vmid, token }) {
  const answer = await fetch(`https://${host}/api2/json/nodes/${node}/${type}/${vmid}/vncproxy`, {
    method: "POST",
    headers: { Authorization: token, "Content-Type": "application/x-www-form-urlencoded" },
    body: "websocket=1&generate-password=1",
  });
  if (!answer.ok) throw new Error(`Proxmox: ${answer.status} ${answer.statusText}`);
  const { ticket, port, password } = (await answer.json()).data; // there is no "vncticket" here

  const iv = randomBytes(16);
  const cipher = createCipheriv("aes-256-cbc", Buffer.from(key, "hex"), iv);
  const details = { vmid, type, host, node, ticket: token, vncticket: ticket, port };
  const sealed = cipher.update(JSON.stringify(details), "utf8", "hex") + cipher.final("hex");
  return { url: `${proxxy}/?payload=${iv.toString("hex")}:${sealed}`, password };
}
