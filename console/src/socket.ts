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

/** RFC 6455 allows a token here; JWE has no other characters. */
const TOKEN = /^[\w.-]+$/;

export function consoleAddress(websocket: string, base: string, scheme: "ws" | "http"): URL {
  const url = new URL(websocket, base);
  url.protocol = url.protocol.replace(/^(http|ws)/, scheme);
  return url;
}

export function openSocket(payload: string, websocket: string, base: string, Socket = WebSocket): WebSocket {
  const url = consoleAddress(websocket, base, "ws");
  if (TOKEN.test(payload)) return new Socket(url, ["binary", PAYLOAD_PROTOCOL + payload]);
  url.search = `?payload=${encodeURIComponent(payload)}`;
  return new Socket(url, ["binary"]);
}

/** Holds a socket's messages, and its end, until release(). */
export function hold(socket: WebSocket): Early {
  const early: Early = { link: "", socket, held: [], closed: null };
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => early.held.push(event);
  socket.onclose = (event) => (early.closed = event);
  return early;
}

export function release({ socket }: Early): void {
  if (socket) socket.onmessage = socket.onclose = null;
}
