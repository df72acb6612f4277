// SPDX-License-Identifier: Apache-2.0
// Slows down what a guest can say as often as it likes, so that it floods neither the page nor the panel around it.
import type { Clock } from "./session.js";

/** Passes a value on at once; of those that follow within the time, only the last, when the time is over. */
export class Calm<Value> {
  #milliseconds: number;
  #pass: (value: Value) => void;
  #clock: Clock;
  #waiting: [Value] | null = null;
  #cancel: (() => void) | null = null; // while the time runs

  constructor(milliseconds: number, pass: (value: Value) => void, clock: Clock) {
    this.#milliseconds = milliseconds;
    this.#pass = pass;
    this.#clock = clock;
  }

  tell(value: Value): void {
    this.#waiting = [value];
    if (!this.#cancel) this.#next();
  }

  /** What waits is not passed any more. */
  forget(): void {
    this.#cancel?.();
    this.#cancel = this.#waiting = null;
  }

  #next(): void {
    this.#cancel = null;
    if (!this.#waiting) return;
    const [value] = this.#waiting;
    this.#waiting = null;
    this.#cancel = this.#clock.after(this.#milliseconds, () => this.#next());
    this.#pass(value);
  }
}
