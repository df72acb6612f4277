// SPDX-License-Identifier: Apache-2.0
// Asks proxxy why it made no WebSocket. Not in socket.ts: the pages' inline script contains that, and a change of the
// script changes the hash in each web server's Content-Security-Policy.
import { consoleAddress, inQuery, TOKEN } from "./socket.js";

const REFUSAL_MS = 10_000;
const RETRY_MAX_S = 60; // proxxy's longest Retry-After

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
