// SPDX-License-Identifier: Apache-2.0
// What lies over the screen while there is no console: that it connects, and how and why it ended.

import type { Choice, Message } from "../view.js";
import type { Context, Part } from "./context.js";
import { make, makeButton, mayTakeFocus, setFlag, setText } from "./dom.js";
import { makeIcon } from "./icons.js";

export class MessageBox implements Part {
  readonly element = make("div", { class: "over", hidden: "" });
  #context: Context;
  #message: Message | null = null;
  #buttons = new Map<Choice, HTMLButtonElement>();
  #mark = make("div", { class: "mark" });
  #label = make("p", { class: "of" });
  #sentence = make("p", { class: "sentence", id: "sentence" });
  #choices = make("div", { class: "choices" });
  #summary = make("summary");
  #reason = make("code");
  #details = make("details", {}, this.#summary, this.#reason);
  #box = make(
    "div",
    { class: "box", tabindex: "-1", "aria-labelledby": "sentence" },
    this.#mark, this.#label, this.#sentence, this.#choices, this.#details,
  );
  #shown = ""; // the mark

  constructor(context: Context) {
    this.#context = context;
    this.element.append(this.#box);
  }

  set(message: Message | null): void {
    const isNew = message !== null && this.#message === null;
    const hadFocus = this.element.contains(this.#context.root.activeElement);
    this.#message = message;
    this.translate();
    if (message && (isNew || hadFocus)) this.#takeFocus(isNew);
  }

  translate(): void {
    const { language, state } = this.#context;
    const message = this.#message;
    const connecting = !message && state === "connecting";
    this.element.hidden = !message && !connecting;
    this.element.classList.toggle("calm", connecting);
    this.#box.setAttribute("role", message ? "alertdialog" : "status");
    this.#showMark(state === "ended" ? "ended" : "busy");
    setText(this.#label, this.#context.label);
    const words = message ? message.sentence : [{ word: "state.connecting" }];
    setText(this.#sentence, words.map(({ word, values }) => language.word(word, values)).join(" "));
    this.#showChoices(message?.choices ?? [], message?.disabled ?? []);
    this.#details.hidden = !message?.details;
    setText(this.#summary, language.word("message.details"));
    setText(this.#reason, message?.details ?? "");
    if (!message) this.#details.open = false;
  }

  /** What is still being typed is for the guest, not for a button: the box takes the focus, not its first button. */
  #takeFocus(isNew: boolean): void {
    if (!mayTakeFocus(this.#context.root)) return;
    if (isNew || !this.element.contains(this.#context.root.activeElement)) this.#box.focus();
  }

  #showMark(mark: "busy" | "ended"): void {
    if (this.#shown === mark) return;
    this.#shown = mark;
    this.#mark.replaceChildren(mark === "busy" ? make("span", { class: "spinner" }) : makeIcon("unplugged"));
  }

  /** A button that stays keeps the focus. */
  #showChoices(choices: Choice[], disabled: Choice[]): void {
    for (const [choice, button] of this.#buttons) {
      if (choices.includes(choice)) continue;
      button.remove();
      this.#buttons.delete(choice);
    }
    choices.forEach((choice, index) => {
      const button = this.#buttons.get(choice) ?? this.#makeChoice(choice);
      setText(button, this.#context.language.word(`choice.${choice}`));
      button.classList.toggle("main", index === 0);
      setFlag(button, "aria-disabled", disabled.includes(choice));
      if (this.#choices.children[index] !== button) {
        this.#choices.insertBefore(button, this.#choices.children[index] ?? null);
      }
    });
    this.#choices.hidden = !choices.length;
  }

  #makeChoice(choice: Choice): HTMLButtonElement {
    const button = makeButton({ class: "choice", "data-choice": choice }, () => this.#context.controls.choose(choice));
    this.#buttons.set(choice, button);
    return button;
  }
}
