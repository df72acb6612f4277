// SPDX-License-Identifier: Apache-2.0
// The dialog that says how to use the bar and leave the screen by keyboard.

import type { Context } from "./context.js";
import { Dialog } from "./dialog.js";
import { make, setText } from "./dom.js";

const LINES = ["help.leave", "help.move", "help.back"];

export class HelpDialog extends Dialog {
  #lines = LINES.map(() => make("li"));

  constructor(context: Context) {
    super(context, "help", "help.title");
    this.body.append(make("ul", {}, ...this.#lines));
    this.foot.hidden = true;
  }

  open(): void {
    this.element.showModal();
  }

  override translate(): void {
    super.translate();
    LINES.forEach((name, index) => setText(this.#lines[index], this.context.language.word(name)));
  }
}
