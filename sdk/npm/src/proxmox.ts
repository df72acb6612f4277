// SPDX-License-Identifier: Apache-2.0
// Requests a guest's console from Proxmox's API.
import { X509Certificate } from "node:crypto";
import { request } from "node:http";
import { connect, type TLSSocket } from "node:tls";
import { ProxmoxError, type ProxmoxReason } from "./errors.js";
import { authority, parseHost, type Host } from "./host.js";

const PORT = 8006;
const ANSWER_MS = 10_000; // Proxmox answers a wrong token after 3 s
const ANSWER_MAX = 1 << 20; // bytes; Proxmox's answer has about 3 KiB
const WORDS_MAX = 200; // characters of a server's words

export interface Proxmox {
  host: string;
  identity: string; // PVEAPIToken=… or PVE:…, as a payload's ticket
  csrf?: string; // of a user's ticket
  ca?: string;
  fingerprint?: string;
}

export interface Grant {
  ticket: string;
  port: number | string;
  user?: string;
  password?: string;
}

interface Answer {
  status: number;
  words: string;
  body: string;
}

function fingerprintOf(socket: TLSSocket) {
  return new X509Certificate(socket.getPeerCertificate().raw).fingerprint256.replaceAll(":", "");
}

/** Connects, and checks the certificate before anything is sent. */
function connectTLS(proxmox: Proxmox, { name, port = PORT }: Host): Promise<TLSSocket> {
  const wanted = proxmox.fingerprint?.replaceAll(":", "").toUpperCase();
  const trust = { ca: proxmox.ca, rejectUnauthorized: !wanted, allowPartialTrustChain: true };
  const isName = /[a-z]/i.test(name) && !name.includes(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host: name, port, servername: isName ? name : undefined, ...trust });
    // setTimeout() of the socket would begin again with each byte.
    const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), ANSWER_MS);
    socket.once("close", () => clearTimeout(timer));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      if (wanted && fingerprintOf(socket) !== wanted)
        socket.destroy(new Error("its certificate has another fingerprint"));
      else resolve(socket);
    });
  });
}

function post(socket: TLSSocket, path: string, host: string, proxmox: Proxmox, form: string): Promise<Answer> {
  const { identity, csrf } = proxmox;
  return new Promise((resolve, reject) => {
    const headers = {
      Host: host,
      Authorization: csrf === undefined ? identity : `PVEAuthCookie=${identity}`,
      ...(csrf !== undefined && { CSRFPreventionToken: csrf }),
      "Content-Type": "application/x-www-form-urlencoded",
      "Content-Length": Buffer.byteLength(form),
    };
    const signal = AbortSignal.timeout(ANSWER_MS);
    const options = { method: "POST", path, headers, signal, createConnection: () => socket };
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        if ((length += chunk.length) > ANSWER_MAX) response.destroy(new Error("the answer is too long"));
      });
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, statusMessage = "" } = response;
        resolve({ status, words: plain(statusMessage, proxmox), body: Buffer.concat(chunks).toString() });
      });
    });
    sent.on("error", reject);
    sent.end(form);
  });
}

async function ask(proxmox: Proxmox, path: string, form: string): Promise<Answer> {
  const host = parseHost(proxmox.host)!;
  const address = authority(host, PORT);
  let socket: TLSSocket | undefined;
  try {
    socket = await connectTLS(proxmox, host);
    return await post(socket, path, address, proxmox, form);
  } catch (error) {
    const { code, message, name } = error as NodeJS.ErrnoException;
    const isLate = name === "TimeoutError" || name === "AbortError";
    const why = isLate ? "no answer in time" : certificateWords(code, message);
    throw new ProxmoxError(0, "unreachable", `Proxmox at ${address} cannot be reached: ${why}`);
  } finally {
    socket?.destroy();
  }
}

/** Makes words for one line of a log. A server may repeat what it was sent. */
function plain(words: string, { identity, csrf }: Proxmox) {
  const secrets = [identity.replace(/^PVEAPIToken=[^=]*=/, ""), csrf];
  for (const secret of secrets) if (secret) words = words.replaceAll(secret, "...");
  return words.replace(/[^\x20-\x7e]/g, "?").slice(0, WORDS_MAX);
}

/** OpenSSL's words for some certificates do not name the certificate. */
function certificateWords(code = "", message = "") {
  const isAboutIt = /CERT|ISSUER|CHAIN|SIGNATURE/.test(code) && !/certificate/i.test(message);
  return isAboutIt ? `its certificate is not trusted: ${message}` : message || code;
}

function refusal({ status, words }: Answer): ProxmoxError {
  let reason: ProxmoxReason = "other";
  if (status === 401 || status === 403) reason = "refused";
  else if (status === 500 && /^Configuration file .* does not exist/.test(words)) reason = "noGuest";
  return new ProxmoxError(status, reason, `Proxmox: ${status} ${words}`);
}

function readGrant({ status, body }: Answer): Grant {
  let data: Partial<Record<keyof Grant, unknown>> | undefined;
  try {
    ({ data } = JSON.parse(body) as { data?: typeof data });
  } catch {
    data = undefined;
  }
  const { ticket, port, user, password } = data ?? {};
  const isText = (value: unknown) => value === undefined || value === null || typeof value === "string";
  const isPort = Number(port) >= 1 && Number(port) <= 65535;
  if (typeof ticket !== "string" || !ticket || !isPort || !isText(user) || !isText(password))
    throw new ProxmoxError(status, "other", "Proxmox: the answer has no console ticket");
  const optional = (value: unknown) => (value ? (value as string) : undefined);
  return { ticket, port: port as number | string, user: optional(user), password: optional(password) };
}

/** Requests a console. type and node are valid: they are parts of a path. */
export async function requestConsole(
  proxmox: Proxmox,
  guest: { node: string; type: "qemu" | "lxc"; vmid: number; protocol: "vnc" | "term" },
): Promise<Grant> {
  const { node, type, vmid, protocol } = guest;
  const path = `/api2/json/nodes/${node}/${type}/${vmid}/${protocol === "term" ? "termproxy" : "vncproxy"}`;
  const isScreen = protocol === "vnc";
  const hasPassword = isScreen && type === "qemu"; // a container's vncproxy refuses the parameter
  let answer = await ask(proxmox, path, isScreen ? `websocket=1${hasPassword ? "&generate-password=1" : ""}` : "");
  // Since 9.2 Proxmox always sends a VM's password, and plans to remove the parameter.
  if (hasPassword && answer.status === 400 && answer.body.includes("generate-password"))
    answer = await ask(proxmox, path, "websocket=1");
  if (answer.status !== 200) throw refusal(answer);
  return readGrant(answer);
}
