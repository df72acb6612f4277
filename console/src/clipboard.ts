// SPDX-License-Identifier: Apache-2.0
// What the guest copied goes to the browser's clipboard, where the browser lets us write: some only do while the user
// presses a key or a button, so the text waits for that.

export class Clipboard {
  #text = "";
  #waits = false;
  #screen: HTMLElement;

  /** screen: only the console that has the focus writes. signal: its end. */
  constructor(screen: HTMLElement, signal: AbortSignal) {
    this.#screen = screen;
    const options = { capture: true, signal };
    for (const type of ["keydown", "pointerup"])
      screen.addEventListener(type, () => void (this.#waits && this.#write()), options);
  }

  copied(text: string): void {
    this.#text = text;
    this.#waits = text !== "";
    if (this.#waits) void this.#write();
  }

  async #write(): Promise<void> {
    if (!document.hasFocus() || !this.#screen.matches(":focus-within")) return;
    try {
      await navigator.clipboard.writeText(this.#text);
      this.#waits = false;
    } catch {
      // The user can copy it from the clipboard's panel.
    }
  }
}
