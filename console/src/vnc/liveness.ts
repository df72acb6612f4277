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
const QUIET = 100; // no byte for so long: the next one is an answer, no picture that was under way

export const TICK = 500;

export type Verdict = "ask" | "lost" | null;

export class Liveness {
  #active: number;
  #awake: number;
  #ticked: number;
  #asked: number | null = null; // because of the silence
  #measured = -Infinity;
  #measuring: number | null = null;
  #latency = 0;

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
      this.#measuring = null;
    }
    this.#ticked = now;
    if (this.#asked !== null && lastReceived > this.#asked) this.#asked = null;
    if (this.#asked !== null) {
      return now - this.#asked >= PATIENCE + Math.min(SLOW, this.#latency) ? "lost" : null;
    }
    if (now - this.#active > ACTIVE || now - Math.max(lastReceived, this.#awake) < SILENCE) return null;
    this.#asked = now;
    return "ask";
  }

  /** Input was just sent. Whether to ask now, to measure the latency: QEMU looks for changes each 30 ms after an
   *  input, but only each 3 s when nothing happens, so that only then the time of an answer says something. */
  measure(now: number, lastReceived: number): boolean {
    if (now - this.#measured < LATENCY_EACH || now - lastReceived < QUIET) return false;
    this.#measured = this.#measuring = now;
    return true;
  }

  /** A message came. Returns the latency, if it was being measured. */
  received(now: number): number | null {
    if (this.#measuring === null) return null;
    this.#latency = now - this.#measuring;
    this.#measuring = null;
    return this.#latency;
  }
}
