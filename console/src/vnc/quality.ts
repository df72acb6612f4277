// SPDX-License-Identifier: Apache-2.0
// The automatic quality of the picture, by how fast the data comes. What comes in small pieces says nothing about the
// network's speed, so only seconds count in which data came nearly all the time.

import type { Quality } from "../guest.js";

export type Level = Exclude<Quality, "auto">;

/** RFB's pseudo-encodings, 0 to 9. QEMU only uses the quality with its option "lossy". */
export const LEVELS: Record<Level, { quality: number; compression: number }> = {
  low: { quality: 2, compression: 7 },
  medium: { quality: 6, compression: 2 },
  high: { quality: 9, compression: 1 },
};

export interface Second {
  bytes: number;
  /** Of the ten parts of the second: in how many data came. */
  busy: number;
  /** The last that was measured, in milliseconds; null if none was. */
  latency: number | null;
}

const LINKS: [Level, number][] = [
  // Bytes per second: below, the level is too much for the network.
  ["high", 1_500_000],
  ["medium", 150_000],
];
const ORDER: Level[] = ["low", "medium", "high"];
const BUSY = 8;
const CALM = 4;
const DOWN_AFTER = 3; // seconds in a row
const UP_AFTER = 10; // seconds in a row; doubled each time a better quality proved too much
const UP_AFTER_MOST = 320;
const FAR = 250; // milliseconds: no better quality

export interface AutoQuality {
  level: Level;
  slow: number; // seconds in a row
  fast: number;
  upAfter: number;
}

export const START: AutoQuality = { level: "medium", slow: 0, fast: 0, upAfter: UP_AFTER };

/** The state after another second. Seconds without data change nothing. */
export function afterSecond(state: AutoQuality, { bytes, busy, latency }: Second): AutoQuality {
  if (!busy) return state;
  const at = ORDER.indexOf(state.level);
  const needed = LINKS.find(([level]) => level === state.level)?.[1] ?? 0;
  if (busy >= BUSY && bytes < needed) {
    const slow = state.slow + 1;
    if (slow < DOWN_AFTER) return { ...state, slow, fast: 0 };
    const upAfter = Math.min(state.upAfter * 2, UP_AFTER_MOST);
    return { level: ORDER[at - 1]!, slow: 0, fast: 0, upAfter };
  }
  const next = ORDER[at + 1];
  const room = busy <= CALM || bytes > (LINKS.find(([level]) => level === next)?.[1] ?? 0);
  if (!next || !room || (latency ?? 0) > FAR) return { ...state, slow: 0, fast: 0 };
  const fast = state.fast + 1;
  if (fast < state.upAfter) return { ...state, slow: 0, fast };
  return { ...state, level: next, slow: 0, fast: 0 };
}

/** Counts a second's data. */
export class Meter {
  #parts = new Set<number>();
  #bytes = 0;
  #start: number;

  constructor(now: number) {
    this.#start = now;
  }

  add(now: number, bytes: number): void {
    this.#parts.add(Math.min(9, Math.floor((now - this.#start) / 100)));
    this.#bytes += bytes;
  }

  /** Ends the second. */
  take(now: number, latency: number | null): Second {
    const second = { bytes: this.#bytes, busy: this.#parts.size, latency };
    this.#parts.clear();
    this.#bytes = 0;
    this.#start = now;
    return second;
  }
}
