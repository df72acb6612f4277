// SPDX-License-Identifier: Apache-2.0
// Whether the other end still answers, and how fast. A VNC server has nothing to say while the screen does not
// change, so it is asked for one pixel. An idle user's server is not asked: PROXXY_IDLE_TIMEOUT and Proxmox's 15
// minutes shall still end such a console. All times are in milliseconds of performance.now().

const ACTIVE = 120_000; // after the user's last action
const SILENCE = 3_000; // before the server is asked
const PATIENCE = 5_000; // for its answer
const SLOW = 2_000; // more, at most, for a network with a long delay
const ASLEEP = 2_500; // between two ticks: the computer or the page was suspended, the socket's data is yet to come
const LATENCY_EACH = 5_000;
const QUIET = 100; // no byte for so long: the next one is the answer rather than a picture that was under way

export const TICK = 500;

/** measure: ask, and tell how long the answer took. */
export type Verdict = "ask" | "measure" | "lost" | null;

export class Liveness {
  #active: number;
  #awake: number;
  #ticked: number;
  #asked: number | null = null; // because of the silence
  #measured = -Infinity;
  /** The last that was measured. */
  latency: number | null = null;

  constructor(now: number) {
    this.#active = this.#awake = this.#ticked = now;
  }

  /** The user did something, or looks at the page again. */
  active(now: number): void {
    this.#active = now;
  }

  /** Called each TICK. lastReceived: when the last byte came. */
  tick(now: number, lastReceived: number): Verdict {
    if (now - this.#ticked > ASLEEP) {
      this.#awake = now;
      this.#asked = null;
    }
    this.#ticked = now;
    if (this.#asked !== null && lastReceived > this.#asked) this.#asked = null;
    if (this.#asked !== null) {
      return now - this.#asked >= PATIENCE + Math.min(SLOW, this.latency ?? 0) ? "lost" : null;
    }
    if (now - this.#active > ACTIVE) return null;
    const silence = now - Math.max(lastReceived, this.#awake);
    const measures = now - this.#measured >= LATENCY_EACH && silence >= QUIET;
    if (silence < SILENCE && !measures) return null;
    this.#asked = now;
    if (!measures) return "ask";
    this.#measured = now;
    return "measure";
  }
}
