// SPDX-License-Identifier: Apache-2.0
// What dialogs have in common: a title, a button that closes, and that the guest has the focus afterwards.

import type { Context, Part } from "./context.js";
import { make, makeButton, setText } from "./dom.js";
import { makeIcon } from "./icons.js";

export abstract class Dialog implements Part {
  readonly element: HTMLDialogElement;
  protected readonly context: Context;
  protected readonly body = make("div", { class: "body" });
  protected readonly foot = make("div", { class: "foot" });
  #title: HTMLElement;
  #close: HTMLButtonElement;
  #titleWord: string;

  constructor(context: Context, name: string, titleWord: string) {
    this.context = context;
    this.#titleWord = titleWord;
    this.#title = make("h2", { id: `${name}-title` });
    this.#close = makeButton({ class: "quiet bare" }, () => this.element.close(), makeIcon("close"));
    const head = make("div", { class: "head" }, this.#title, this.#close);
    const attributes = { class: `dialog card ${name}`, "aria-labelledby": `${name}-title` };
    this.element = make("dialog", attributes, head, this.body, this.foot);
    this.element.addEventListener("close", () => {
      this.closed();
      this.context.controls.focus();
    });
    // A click beside a modal dialog is a click on the dialog element itself.
    this.element.addEventListener("click", (event) => {
      const beside = event.target === this.element && !this.#contains(event);
      if (beside && this.element.matches(":modal")) this.element.close();
    });
  }

  translate(): void {
    setText(this.#title, this.context.language.word(this.#titleWord));
    this.#close.setAttribute("aria-label", this.context.language.word("dialog.close"));
  }

  /** The dialog is closed, by whatever. */
  protected closed(): void {}

  #contains({ clientX, clientY }: MouseEvent): boolean {
    const { left, right, top, bottom } = this.element.getBoundingClientRect();
    return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
  }
}

/** Puts the text of this device's clipboard into the field, if the browser and the user allow it. */
export async function pasteInto(field: HTMLTextAreaElement): Promise<void> {
  field.focus();
  try {
    const text = await navigator.clipboard.readText();
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input"));
  } catch {
    // not allowed: then it is pasted by hand
  }
}

/** Whether the browser can be asked for its clipboard at all. */
export function canReadClipboard(): boolean {
  return Boolean(navigator.clipboard?.readText);
}
