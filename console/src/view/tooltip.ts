// SPDX-License-Identifier: Apache-2.0
// Shows a button's name below it, while the bar has icons alone. Screen readers have the name from the button itself.

import type { Context } from "./context.js";
import { make, setText } from "./dom.js";

const DELAY_MS = 350;
const MARGIN = 6; // pixels between a tooltip and the view's edges

export class Tooltip {
  #context: Context;
  #element = make("div", { class: "tooltip", "aria-hidden": "true" });
  #timer = 0;

  constructor(context: Context, tools: HTMLElement) {
    this.#context = context;
    tools.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse") this.#plan(buttonOf(event), DELAY_MS);
    });
    tools.addEventListener("pointerout", () => this.hide());
    tools.addEventListener("pointerdown", () => this.hide());
    tools.addEventListener("focusin", (event) => {
      if ((event.target as HTMLElement).matches(":focus-visible")) this.#plan(buttonOf(event), 0);
    });
    tools.addEventListener("focusout", () => this.hide());
    tools.addEventListener("click", () => this.hide());
  }

  /** Returns whether there was one. */
  hide(): boolean {
    clearTimeout(this.#timer);
    const shown = this.#element.isConnected;
    this.#element.remove();
    return shown;
  }

  #plan(button: HTMLElement | null, delay: number): void {
    this.hide();
    if (button) this.#timer = window.setTimeout(() => this.#show(button), delay);
  }

  #show(button: HTMLElement): void {
    const text = button.querySelector<HTMLElement>(".text");
    if (!text || text.offsetWidth > 1 || !button.isConnected) return; // the name is visible
    setText(this.#element, text.textContent ?? "");
    this.#context.view.append(this.#element);
    const view = this.#context.view.getBoundingClientRect();
    const from = button.getBoundingClientRect();
    const wish = from.left - view.left + (from.width - this.#element.offsetWidth) / 2;
    const most = view.width - this.#element.offsetWidth - MARGIN;
    this.#element.style.left = `${Math.max(MARGIN, Math.min(wish, most))}px`;
    this.#element.style.top = `${from.bottom - view.top + MARGIN}px`;
  }
}

function buttonOf(event: Event): HTMLElement | null {
  return (event.target as Element).closest<HTMLElement>(".tool");
}
