// SPDX-License-Identifier: Apache-2.0
// Asks the server for one pixel, and knows the answers: a server handles all that was sent before, then answers.

import type { Wire } from "./wire.js";

/** In what a server with ExtendedDesktopSize answers, and at once: this pseudo-encoding, -308. */
const SCREEN_SIZE = [0xff, 0xff, 0xfe, 0xcc];

/** One answer is enough for questions that arrived together: then no other comes within this time. */
const TOGETHER_MS = 1000;

/** How many answers of a server with ExtendedDesktopSize there are in the data. */
export function countAnswers(data: ArrayBuffer): number {
  const bytes = new Uint8Array(data);
  let count = 0;
  for (let at = bytes.indexOf(SCREEN_SIZE[0]!); at >= 0; at = bytes.indexOf(SCREEN_SIZE[0]!, at + 1))
    if (SCREEN_SIZE.every((byte, i) => bytes[at + i] === byte)) count++;
  return count;
}

export class Answers {
  #wire: Pick<Wire, "askForPixel">;
  #waiting: (() => void)[] = [];
  #together: ReturnType<typeof setTimeout> | undefined;

  constructor(wire: Pick<Wire, "askForPixel">) {
    this.#wire = wire;
  }

  /** Resolves when the server has handled all that was sent before; never, if the connection ends first. */
  ask(): Promise<void> {
    this.#wire.askForPixel();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** marked: whether the server has ExtendedDesktopSize. Of another, whatever comes is taken for the answer. */
  received(data: ArrayBuffer, marked: boolean): void {
    if (!this.#waiting.length) return;
    const count = marked ? countAnswers(data) : this.#waiting.length;
    if (!count) return;
    this.#resolve(count);
    clearTimeout(this.#together);
    const left = this.#waiting.length;
    if (left) this.#together = setTimeout(() => this.#resolve(left), TOGETHER_MS);
  }

  #resolve(count: number): void {
    for (const resolve of this.#waiting.splice(0, count)) resolve();
  }
}
