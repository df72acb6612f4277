// SPDX-License-Identifier: Apache-2.0
// The way out of the screen by keyboard: Ctrl, Alt and Shift together, and released without another key.

const MODIFIERS = ["Control", "Alt", "Shift"];

/** The modifier's name by the key's place: with Shift down, some systems call Alt "Meta". */
function modifierOf(code: string): string {
  return code.replace(/(Left|Right)$/, "");
}

export class LeaveKeys {
  #down = new Set<string>();
  #armed = false;

  keyDown(code: string): void {
    const modifier = modifierOf(code);
    if (!MODIFIERS.includes(modifier)) {
      this.reset();
      return;
    }
    this.#down.add(modifier);
    if (this.#down.size === MODIFIERS.length) this.#armed = true;
  }

  /** Returns true when all three are up again: the guest knows it by then. */
  keyUp(code: string): boolean {
    this.#down.delete(modifierOf(code));
    const leaves = this.#armed && this.#down.size === 0;
    if (leaves) this.#armed = false;
    return leaves;
  }

  reset(): void {
    this.#down.clear();
    this.#armed = false;
  }
}
