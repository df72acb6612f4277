// SPDX-License-Identifier: Apache-2.0
// The field that searches a terminal's lines.

import type { Context, Part } from "./context.js";
import { make, makeButton, setText } from "./dom.js";
import { makeIcon } from "./icons.js";

export class SearchField implements Part {
  readonly element: HTMLElement;
  #context: Context;
  #text = make("input", { type: "search", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  #result = make("span", { class: "result", role: "status" });
  #previous = makeButton({ class: "quiet bare" }, () => this.#search(true), makeIcon("up"));
  #next = makeButton({ class: "quiet bare" }, () => this.#search(false), makeIcon("down"));
  #close = makeButton({ class: "quiet bare" }, () => this.close(), makeIcon("close"));
  #closed: () => void;

  constructor(context: Context, closed: () => void) {
    this.#context = context;
    this.#closed = closed;
    const parts = [makeIcon("search"), this.#text, this.#result, this.#previous, this.#next, this.#close];
    this.element = make("div", { class: "search card", role: "search", hidden: "" }, ...parts);
    this.#text.addEventListener("input", () => this.#search(false));
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#search(event.shiftKey);
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.close();
    });
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  open(): void {
    this.element.hidden = false;
    this.#text.focus();
    this.#text.select();
  }

  close(): void {
    if (!this.isOpen) return;
    this.element.hidden = true;
    this.#context.controls.search("");
    setText(this.#result, "");
    this.#closed();
    this.#context.controls.focus();
  }

  translate(): void {
    const { language } = this.#context;
    this.#text.placeholder = language.word("search.text");
    this.#text.setAttribute("aria-label", language.word("search.text"));
    this.#previous.setAttribute("aria-label", language.word("search.previous"));
    this.#next.setAttribute("aria-label", language.word("search.next"));
    this.#close.setAttribute("aria-label", language.word("dialog.close"));
  }

  #search(backwards: boolean): void {
    const text = this.#text.value;
    const found = this.#context.controls.search(text, backwards);
    setText(this.#result, text && !found ? this.#context.language.word("search.none") : "");
    this.#text.focus(); // the controls may have given it to the guest
  }
}
