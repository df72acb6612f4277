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

/** Bytes. A VNC server waits for an answer, but a terminal's program does not. */
export const HELD_MAX = 16 * 1024 * 1024;
/** RFC 6455 allows a token here; JWE has no other characters. */
export const TOKEN = /^[\w.-]+$/;

/** proxxy's address, from a page. Not from the link: nobody's link shall have the page talk to a server of theirs. */
export function websocketOf(page: Document): string {
  return page.querySelector<HTMLMetaElement>('meta[name="proxxy-websocket"]')?.content ?? "ws";
}

export function consoleAddress(websocket: string, base: string, scheme: "ws" | "http"): URL {
  const url = new URL(websocket, base);
  url.protocol = url.protocol.replace(/^(http|ws)/, scheme);
  return url;
}

export function inQuery(payload: string, url: URL): URL {
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
