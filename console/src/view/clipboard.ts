// SPDX-License-Identifier: Apache-2.0
// The clipboard's panel: what the guest copied, and a text for the guest. The screen can be used while it is open.

import type { Status } from "./items.js";
import { takesInput } from "./items.js";
import type { Context } from "./context.js";
import { canReadClipboard, Dialog, pasteInto } from "./dialog.js";
import { make, makeButton, setFlag, setText } from "./dom.js";
import { makeIcon } from "./icons.js";

export class ClipboardPanel extends Dialog {
  #from = make("textarea", { id: "clipboard-from", rows: "4", readonly: "", spellcheck: "false" });
  #fromLabel = make("label", { for: "clipboard-from" });
  #copyText = make("span");
  #copy = makeButton({ class: "plain" }, () => void this.#copyOut(), makeIcon("copy"), this.#copyText);
  #to = make("textarea", {
    id: "clipboard-to", rows: "4", spellcheck: "false", autocapitalize: "off", autocomplete: "off", autocorrect: "off",
  });
  #toLabel = make("label", { for: "clipboard-to" });
  #paste = makeButton({ class: "plain" }, () => void pasteInto(this.#to));
  #cannot = make("p", { class: "hint" });
  #send = makeButton({ class: "main" }, () => this.#sendIn());
  #told: { copied(): void; closed(): void };

  constructor(context: Context, told: { copied(): void; closed(): void }) {
    super(context, "clipboard", "clipboard.title");
    this.#told = told;
    this.#paste.hidden = !canReadClipboard();
    this.body.append(
      make("div", { class: "label-row" }, this.#fromLabel, this.#copy), this.#from,
      make("div", { class: "label-row" }, this.#toLabel, this.#paste), this.#to, this.#cannot,
    );
    this.foot.append(this.#send);
    this.#to.addEventListener("input", () => this.#check());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.element.close();
    });
  }

  get isOpen(): boolean {
    return this.element.open;
  }

  toggle(): void {
    if (this.isOpen) this.element.close();
    else this.#open();
  }

  /** What the guest copied. */
  setText(text: string): void {
    this.#from.value = text;
    this.#check();
  }

  update(status: Status): void {
    const can = takesInput(status) && status.can("paste");
    this.#to.disabled = !can;
    this.#cannot.hidden = can;
    if (status.state === "ended") this.setText("");
    this.#check();
  }

  override translate(): void {
    super.translate();
    const { language, kind } = this.context;
    setText(this.#fromLabel, language.word("clipboard.from"));
    setText(this.#copyText, language.word("clipboard.copy"));
    setText(this.#toLabel, language.word("clipboard.to"));
    setText(this.#paste, language.word("type.paste"));
    setText(this.#send, language.word("clipboard.send"));
    setText(this.#cannot, language.word("clipboard.cannot"));
    this.#from.placeholder = language.word(kind === "vnc" ? "clipboard.from_empty" : "clipboard.from_selected");
  }

  protected override closed(): void {
    this.#to.value = ""; // it may be a password
    this.#check();
    this.#told.closed();
  }

  #open(): void {
    const selected = this.context.controls.selection();
    if (selected || this.context.kind === "term") this.setText(selected);
    this.element.show();
    (this.#to.disabled ? this.#from : this.#to).focus();
  }

  #check(): void {
    setFlag(this.#copy, "aria-disabled", !this.#from.value);
    setFlag(this.#paste, "aria-disabled", this.#to.disabled);
    setFlag(this.#send, "aria-disabled", this.#to.disabled || !this.#to.value);
  }

  async #copyOut(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.#from.value);
      this.#told.copied();
    } catch {
      this.#from.focus(); // not allowed: then it is copied by hand
      this.#from.select();
    }
  }

  #sendIn(): void {
    const text = this.#to.value;
    this.element.close();
    this.context.controls.paste(text);
  }
}
