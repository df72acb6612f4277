// SPDX-License-Identifier: Apache-2.0
// What the guest copied goes to the browser's clipboard, where the browser lets us write: some only do while the user
// presses a key or a button, so the text waits for that.

export class Clipboard {
  /** The last text; "" is none. */
  text = "";
  #waits = false;
  #hasFocus: () => boolean;

  /** hasFocus: only the console that is in use writes. signal: its end. */
  constructor(screen: HTMLElement, hasFocus: () => boolean, signal: AbortSignal) {
    this.#hasFocus = hasFocus;
    const options = { capture: true, signal };
    for (const type of ["keydown", "pointerup"])
      screen.addEventListener(type, () => void (this.#waits && this.#write()), options);
  }

  copied(text: string): void {
    this.text = text;
    this.#waits = text !== "";
    if (this.#waits) void this.#write();
  }

  async #write(): Promise<void> {
    if (!this.#hasFocus()) return;
    try {
      await navigator.clipboard.writeText(this.text);
      this.#waits = false;
    } catch {
      // The user can copy it from the clipboard's panel.
    }
  }
}
