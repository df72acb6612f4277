// SPDX-License-Identifier: Apache-2.0
// Lines that appear over the screen for a while. A notice with the same word takes the place of the earlier one, which
// is how a progress goes on.

import type { Notice } from "../view.js";
import type { Context, Part } from "./context.js";
import { make, makeButton, setText } from "./dom.js";
import { makeIcon } from "./icons.js";

interface Line {
  notice: Notice;
  element: HTMLElement;
  text: HTMLElement;
  progress: HTMLElement;
  filled: HTMLElement;
  action: HTMLButtonElement;
  cancel: HTMLButtonElement;
  timer: number;
}

export class Notices implements Part {
  readonly element = make("div", { class: "notices", role: "status", "aria-atomic": "false" });
  #context: Context;
  #lines = new Map<string, Line>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Returns a function that removes it, unless a later one has taken its place. */
  add(notice: Notice, milliseconds = 0): () => void {
    const { word } = notice.words;
    const line = this.#lines.get(word) ?? this.#makeLine(word, notice);
    line.notice = notice;
    this.#write(line);
    clearTimeout(line.timer);
    if (milliseconds) line.timer = window.setTimeout(() => this.#remove(word), milliseconds);
    // A next one with this word may come at once: then the line stays, and its button keeps the focus.
    return () =>
      queueMicrotask(() => {
        if (this.#lines.get(word)?.notice === notice) this.#remove(word);
      });
  }

  translate(): void {
    for (const line of this.#lines.values()) this.#write(line);
  }

  end(): void {
    for (const word of [...this.#lines.keys()]) this.#remove(word);
  }

  #makeLine(word: string, notice: Notice): Line {
    const filled = make("div", { class: "filled" });
    const cancel = makeButton({ class: "quiet" }, () => {
      const current = this.#lines.get(word)?.notice;
      this.#remove(word);
      current?.cancel?.();
      this.#context.controls.focus();
    });
    const action = makeButton({ class: "quiet" }, () => {
      this.#lines.get(word)?.notice.action?.run();
      this.#remove(word);
      this.#context.controls.focus();
    });
    const text = make("span", { class: "notice-text" });
    const progress = make("div", { class: "progress", role: "progressbar", "aria-valuemin": "0" }, filled);
    const element = make("div", { class: "notice card", "data-notice": word }, text, action, cancel, progress);
    const line = { notice, element, text, progress, filled, action, cancel, timer: 0 };
    this.#lines.set(word, line);
    this.#write(line);
    this.element.append(element);
    return line;
  }

  #write({ notice, text, progress, filled, action, cancel }: Line): void {
    const { language } = this.#context;
    setText(text, language.word(notice.words.word, notice.words.values));
    const percent = Math.round(100 * Math.min(1, Math.max(0, notice.progress ?? 0)));
    progress.hidden = notice.progress === undefined;
    // The text of a progress changes often: the bar tells it to screen readers, when they ask.
    text.setAttribute("aria-live", notice.progress === undefined ? "polite" : "off");
    progress.setAttribute("aria-valuenow", String(percent));
    progress.setAttribute("aria-label", text.textContent ?? "");
    filled.style.width = `${percent}%`;
    action.hidden = !notice.action;
    if (notice.action) setText(action, language.word(notice.action.words.word, notice.action.words.values));
    // What cannot be cancelled can be put away.
    const label = language.word(notice.cancel ? "notice.cancel" : "notice.dismiss");
    if (notice.cancel) setText(cancel, label);
    else if (!cancel.querySelector(".icon")) cancel.replaceChildren(makeIcon("close"));
    cancel.setAttribute("aria-label", label);
    cancel.classList.toggle("bare", !notice.cancel);
  }

  #remove(word: string): void {
    const line = this.#lines.get(word);
    if (!line) return;
    clearTimeout(line.timer);
    this.#lines.delete(word);
    line.element.remove();
  }
}
