// SPDX-License-Identifier: Apache-2.0
// The row of keys that a phone's keyboard lacks. It lies above that keyboard.

import type { Key } from "../guest.js";
import type { Context, Part } from "./context.js";
import { make, makeButton, setFlag, setText } from "./dom.js";
import { makeIcon, type IconName } from "./icons.js";
import { takesInput, type Status } from "./items.js";
import { Sticky } from "./sticky.js";

interface ExtraKey {
  key: Key;
  word: string;
  icon?: IconName;
}

const MODIFIERS: ExtraKey[] = [
  { key: "Control", word: "key.ctrl" },
  { key: "Alt", word: "key.alt" },
];
const ARROWS: ExtraKey[] = [
  { key: "ArrowLeft", word: "key.left", icon: "left" },
  { key: "ArrowDown", word: "key.down", icon: "down" },
  { key: "ArrowUp", word: "key.up", icon: "up" },
  { key: "ArrowRight", word: "key.right", icon: "right" },
];
const MORE: ExtraKey[] = [
  ...Array.from({ length: 12 }, (_, index) => ({ key: `F${index + 1}`, word: `F${index + 1}` })),
  { key: "Insert", word: "key.insert" },
  { key: "Home", word: "key.home" },
  { key: "PageUp", word: "key.page_up" },
  { key: "Delete", word: "key.del" },
  { key: "End", word: "key.end" },
  { key: "PageDown", word: "key.page_down" },
];
const HELD_WORDS = { off: "", once: "key.held", locked: "key.locked" };
const MODIFIER_KEYS = ["Control", "Alt", "Shift", "Meta", "AltGraph", "CapsLock", "Unidentified", "Process", "Dead"];

export class ExtraKeys implements Part {
  readonly element: HTMLElement;
  #context: Context;
  #sticky: Sticky;
  #keys = new Map<HTMLButtonElement, ExtraKey>();
  #modifiers = new Map<HTMLButtonElement, ExtraKey>();
  #more: HTMLElement = make("div", { class: "keys more-keys", hidden: "", id: "more-keys" });
  #function: HTMLButtonElement;

  constructor(context: Context) {
    this.#context = context;
    this.#sticky = new Sticky((modifier, down) => context.controls.hold(modifier, down));
    this.#function = makeButton(
      { class: "key", "data-key": "Fn", "aria-expanded": "false", "aria-controls": "more-keys" },
      () => this.#showMore(this.#more.hasAttribute("hidden")),
    );
    const row = make("div", { class: "keys" });
    row.append(this.#makeKey({ key: "Escape", word: "key.esc" }), this.#makeKey({ key: "Tab", word: "key.tab" }));
    row.append(...MODIFIERS.map((key) => this.#makeModifier(key)));
    row.append(...ARROWS.map((key) => this.#makeKey(key)), this.#function);
    this.#more.append(...MORE.map((key) => this.#makeKey(key)));
    this.element = make("div", { class: "extra", role: "group" }, this.#more, row);
  }

  /** A key went to the guest by the screen keyboard, or a real one. */
  typed(key: string): void {
    if (MODIFIER_KEYS.includes(key)) return;
    this.#sticky.used();
    this.#showHeld();
  }

  update(status: Status): void {
    const off = !takesInput(status);
    this.element.hidden = status.options.viewOnly;
    if (off) this.#sticky.reset();
    for (const button of [...this.#keys.keys(), ...this.#modifiers.keys()]) setFlag(button, "aria-disabled", off);
    this.#showHeld();
  }

  translate(): void {
    const { language } = this.#context;
    this.element.setAttribute("aria-label", language.word("extra.name"));
    for (const [button, { word, icon }] of this.#keys) {
      if (icon) button.setAttribute("aria-label", language.word(word));
      else setText(button, language.word(word));
    }
    setText(this.#function, language.word("key.fn"));
    this.#function.setAttribute("aria-label", `${language.word("key.fn")} (${language.word("key.more")})`);
    this.#showHeld();
  }

  #makeKey(key: ExtraKey): HTMLButtonElement {
    const button = makeButton({ class: "key", "data-key": key.key }, () => {
      this.#context.controls.sendKeys([key.key]);
      this.typed(key.key);
      this.#context.controls.focus();
    });
    if (key.icon) button.append(makeIcon(key.icon));
    this.#keys.set(button, key);
    return button;
  }

  #makeModifier(key: ExtraKey): HTMLButtonElement {
    const button = makeButton({ class: "key", "data-key": key.key }, () => {
      this.#sticky.press(key.key);
      this.#showHeld();
      this.#context.controls.focus();
    });
    this.#modifiers.set(button, key);
    return button;
  }

  #showHeld(): void {
    const { language } = this.#context;
    for (const [button, { key, word }] of this.#modifiers) {
      const hold = this.#sticky.get(key);
      const name = language.word(word);
      setText(button, name);
      setFlag(button, "aria-pressed", hold !== "off");
      button.dataset.hold = hold;
      if (hold === "off") button.removeAttribute("aria-label");
      else button.setAttribute("aria-label", language.word(HELD_WORDS[hold], { key: name }));
    }
  }

  #showMore(shown: boolean): void {
    this.#more.hidden = !shown;
    setFlag(this.#function, "aria-expanded", shown);
    this.#context.controls.focus();
  }
}
