// SPDX-License-Identifier: Apache-2.0
// Modifiers of the extra keys: pressed once, one holds for the next key; twice, until it is pressed again.

export type Hold = "off" | "once" | "locked";

const NEXT: Record<Hold, Hold> = { off: "once", once: "locked", locked: "off" };

export class Sticky {
  #held = new Map<string, Hold>();
  #hold: (modifier: string, down: boolean) => void;

  /** hold: tells the guest that a modifier is down now, or up. */
  constructor(hold: (modifier: string, down: boolean) => void) {
    this.#hold = hold;
  }

  get(modifier: string): Hold {
    return this.#held.get(modifier) ?? "off";
  }

  press(modifier: string): void {
    const before = this.get(modifier);
    const after = NEXT[before];
    this.#held.set(modifier, after);
    if (before === "off") this.#hold(modifier, true);
    if (after === "off") this.#hold(modifier, false);
  }

  /** A key was pressed. */
  used(): void {
    this.#release((hold) => hold === "once");
  }

  reset(): void {
    this.#release((hold) => hold !== "off");
  }

  #release(which: (hold: Hold) => boolean): void {
    for (const [modifier, hold] of this.#held) {
      if (!which(hold)) continue;
      this.#held.set(modifier, "off");
      this.#hold(modifier, false);
    }
  }
}
