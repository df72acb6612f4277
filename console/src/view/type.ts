// SPDX-License-Identifier: Apache-2.0
// The dialog "Type text": the text, the guest's keyboard layout, and what that layout cannot type.

import { LAYOUTS } from "../typing/layouts.js";
import type { Context } from "./context.js";
import { canReadClipboard, Dialog, pasteInto } from "./dialog.js";
import { make, makeButton, setFlag, setText } from "./dom.js";
import { makeIcon } from "./icons.js";
import { takesInput, type Status } from "./items.js";

const SHOWN_MAX = 40; // characters that are named

export class TypeDialog extends Dialog {
  #hint = make("p", { class: "hint", id: "type-hint" });
  #text = make("textarea", {
    id: "type-text", rows: "6", spellcheck: "false", autocapitalize: "off", autocomplete: "off", autocorrect: "off",
    "aria-describedby": "type-hint type-warning",
  });
  #textLabel = make("label", { for: "type-text" });
  #layout = make("select", { id: "type-layout" });
  #layoutLabel = make("label", { for: "type-layout" });
  #warningText = make("span");
  #warning = make("p", { class: "warning", id: "type-warning", role: "status" });
  #paste = makeButton({ class: "plain" }, () => void pasteInto(this.#text));
  #start = makeButton({ class: "main" }, () => this.#type());
  #cancel = makeButton({ class: "plain" }, () => this.element.close());

  #can = false; // the guest takes a text at the moment

  constructor(context: Context) {
    super(context, "type", "type.title");
    for (const { id, name } of LAYOUTS) this.#layout.append(make("option", { value: id }, name));
    this.#paste.hidden = !canReadClipboard();
    const top = make("div", { class: "label-row" }, this.#textLabel, this.#paste);
    const layout = make("div", { class: "field" }, this.#layoutLabel, this.#layout);
    this.body.append(this.#hint, top, this.#text, layout, this.#warning);
    this.foot.append(this.#cancel, this.#start);
    this.#text.addEventListener("input", () => this.#check());
    this.#layout.addEventListener("change", () => this.#check());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#start.click();
    });
  }

  open(): void {
    this.#check();
    this.element.showModal();
    this.#text.focus();
  }

  /** The layout that is chosen at first. */
  setLayout(layout: string): void {
    if (LAYOUTS.some(({ id }) => id === layout)) this.#layout.value = layout;
  }

  update(status: Status): void {
    this.#can = takesInput(status) && status.can("type");
    this.#check();
  }

  override translate(): void {
    super.translate();
    const { language } = this.context;
    setText(this.#hint, language.word("type.hint"));
    setText(this.#textLabel, language.word("type.text"));
    setText(this.#layoutLabel, language.word("type.layout"));
    setText(this.#paste, language.word("type.paste"));
    setText(this.#start, language.word("type.start"));
    setText(this.#cancel, language.word("dialog.cancel"));
    this.#check();
  }

  protected override closed(): void {
    this.#text.value = ""; // it may be a password
    this.#check();
  }

  #type(): void {
    const text = this.#text.value;
    const layout = this.#layout.value;
    this.element.close();
    if (text) this.context.controls.type(text, layout);
  }

  #check(): void {
    const text = this.#text.value;
    const untypable = text ? this.context.controls.untypable(text, this.#layout.value) : [];
    const named = untypable.slice(0, SHOWN_MAX).join(" ") + (untypable.length > SHOWN_MAX ? " …" : "");
    if (!untypable.length) this.#warning.replaceChildren();
    else if (!this.#warning.childNodes.length) this.#warning.append(makeIcon("warning"), this.#warningText);
    setText(this.#warningText, this.context.language.word("type.untypable", { characters: named }));
    setFlag(this.#start, "aria-disabled", !text || !this.#can);
  }
}
