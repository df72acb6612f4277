// SPDX-License-Identifier: Apache-2.0
// How a payload travels to proxxy: as a subprotocol, which no proxy logs, or in the query, if it has characters that a
// subprotocol cannot have (payloads of the old format). And the socket of early.ts, which the page's module takes over.
import { PAYLOAD_PROTOCOL } from "./channel.js";

/** What a link that was opened early left for the page's module. */
export interface Early {
  link: string;
  socket: WebSocket | null;
  held: MessageEvent[];
  closed: CloseEvent | null;
}

declare global {
  interface Window {
    proxxyEarly?: Early;
  }
}

const REFUSAL_MS = 10_000;
const RETRY_MAX_S = 60; // proxxy's longest Retry-After
/** Bytes. A VNC server waits for an answer, but a terminal's program does not. */
export const HELD_MAX = 16 * 1024 * 1024;
/** RFC 6455 allows a token here; JWE has no other characters. */
const TOKEN = /^[\w.-]+$/;

/** proxxy's address, from a page. Not from the link: nobody's link shall have the page talk to a server of theirs. */
export function websocketOf(page: Document): string {
  return page.querySelector<HTMLMetaElement>('meta[name="proxxy-websocket"]')?.content ?? "ws";
}

export function consoleAddress(websocket: string, base: string, scheme: "ws" | "http"): URL {
  const url = new URL(websocket, base);
  url.protocol = url.protocol.replace(/^(http|ws)/, scheme);
  return url;
}

function inQuery(payload: string, url: URL): URL {
  url.search = `?payload=${encodeURIComponent(payload)}`;
  return url;
}

export function openSocket(payload: string, websocket: string, base: string, Socket = WebSocket): WebSocket {
  const url = consoleAddress(websocket, base, "ws");
  if (TOKEN.test(payload)) return new Socket(url, ["binary", PAYLOAD_PROTOCOL + payload]);
  try {
    return new Socket(inQuery(payload, url), ["binary"]);
  } catch (error) {
    throw new Error((error as Error).message.replace(/\?\S*/, "")); // browsers name the address, with its query
  }
}

/** Why there was no WebSocket. */
export interface Refusal {
  reason: string; // "" if nobody says
  seconds: number; // until it is worth another attempt (Retry-After); 0 if nobody says
}

/** Asks why there was no WebSocket. proxxy reports errors of a link that it can open in a Close.
 *  For all other errors, and those of a proxy in between, this sends the request again without an upgrade, which does
 *  not use the link up. A script cannot set the field of subprotocols. */
export async function askRefusal(payload: string, websocket: string, base: string): Promise<Refusal> {
  try {
    const url = consoleAddress(websocket, base, "http");
    const token = TOKEN.test(payload);
    const answer = await fetch(token ? url : inQuery(payload, url), {
      headers: token ? { "Proxxy-Payload": payload } : {},
      signal: AbortSignal.timeout(REFUSAL_MS),
      cache: "no-store",
      credentials: "omit",
      redirect: "error", // the payload is for proxxy alone
      referrerPolicy: "no-referrer",
    });
    // A proxy in between has pages of its own. It may have limits, too (RFC 6585 section 4).
    const said = (await answer.json().catch(() => ({}))) as { error?: string; issues?: { message: string }[] };
    const { error = answer.status === 429 ? "Too many requests" : "", issues = [] } = said;
    const reason = [error, ...issues.map(({ message }) => message)].filter(Boolean).join(": ");
    return { reason, seconds: Math.min(Number.parseInt(answer.headers.get("retry-after") ?? "") || 0, RETRY_MAX_S) };
  } catch {
    return { reason: "", seconds: 0 }; // another origin, or nobody there
  }
}

/** Holds a socket's messages, and its end, until release(). link: what it was opened with. A guest that sends more than
 *  HELD_MAX meanwhile is cut off. */
export function hold(socket: WebSocket, link = ""): Early {
  const early: Early = { link, socket, held: [], closed: null };
  socket.binaryType = "arraybuffer";
  let bytes = 0;
  socket.onmessage = (event) => {
    early.held.push(event);
    bytes += (event.data as ArrayBuffer).byteLength;
    if (bytes <= HELD_MAX) return;
    socket.onmessage = null;
    early.held.length = 0;
    socket.close(4000);
  };
  socket.onclose = (event) => (early.closed = event);
  return early;
}

export function release({ socket }: Early): void {
  if (socket) socket.onmessage = socket.onclose = null;
}

export function close(early: Early): void {
  release(early);
  early.socket?.close(1000);
}
