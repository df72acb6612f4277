// SPDX-License-Identifier: Apache-2.0
// Types a long text in pieces: the next one is sent when the guest has shown the one before, because a slow serial
// line, or a program that throws away what came before its question, would lose a part of it.

import type { Typing } from "../guest.js";

/** A terminal's line buffer holds 4096 bytes, termproxy's buffer as many. */
const PIECE_CHARACTERS = 256;
const POLL_MS = 20;
/** Without an echo, as of a password, the next piece follows after this time of silence. */
const SILENCE_MS = 200;

export interface Typist {
  now(): number;
  pause(milliseconds: number): Promise<void>;
  /** Returns how many bytes were sent; 0: the connection is gone. */
  send(text: string): number;
  /** Bytes that still wait here to be sent. */
  buffered(): number;
  received(): number;
  lastReceived(): number;
}

/** Rejects with an AbortError if the signal or the end of the connection stopped it. */
export async function typeInPieces(text: string, typist: Typist, { progress, signal }: Typing = {}): Promise<void> {
  const all = [...text].length;
  let done = 0;
  progress?.(done, all);
  for (const piece of pieces(text)) {
    stopIfAborted(signal);
    const received = typist.received();
    const began = typist.now();
    const sent = typist.send(piece.replace(/\r?\n/g, "\r"));
    if (!sent) throw new DOMException("the connection ended", "AbortError");
    do {
      await typist.pause(POLL_MS);
      stopIfAborted(signal);
    } while (!taken(typist, received + sent, began));
    done += [...piece].length;
    progress?.(done, all);
  }
}

/** Each ends behind a line, or is as long as it may be. No character is cut. */
export function pieces(text: string): string[] {
  const lines = text.match(/[^\n]*\n|[^\n]+/g) ?? [];
  return lines.flatMap((line) => {
    const characters = [...line];
    const parts = [];
    for (let i = 0; i < characters.length; i += PIECE_CHARACTERS)
      parts.push(characters.slice(i, i + PIECE_CHARACTERS).join(""));
    return parts;
  });
}

function taken(typist: Typist, echoed: number, began: number): boolean {
  if (typist.buffered() > 0) return false;
  return typist.received() >= echoed || typist.now() - Math.max(began, typist.lastReceived()) >= SILENCE_MS;
}

function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new DOMException("typing was stopped", "AbortError");
}
