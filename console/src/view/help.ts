// SPDX-License-Identifier: Apache-2.0
// The dialog that says how to use the bar, leave the screen by keyboard, and use a touch screen.

import type { Context } from "./context.js";
import { Dialog } from "./dialog.js";
import { make, setText } from "./dom.js";

const KEYBOARD = ["help.leave", "help.move", "help.back"];
const COPY = ["help.copy"]; // of a terminal, with a keyboard
const FINGERS = ["help.tap", "help.pinch"]; // of a screen
const EXTRA_KEYS = ["help.hold"];

export class HelpDialog extends Dialog {
  #lines: [string, HTMLElement][];

  constructor(context: Context, touch: boolean) {
    super(context, "help", "help.title");
    const screen = context.kind === "vnc";
    const first = touch ? [...(screen ? FINGERS : []), ...EXTRA_KEYS] : screen ? [] : COPY;
    this.#lines = [...first, ...KEYBOARD].map((name) => [name, make("li")]);
    this.body.append(make("ul", {}, ...this.#lines.map(([, line]) => line)));
    this.foot.hidden = true;
  }

  open(): void {
    this.element.showModal();
  }

  override translate(): void {
    super.translate();
    for (const [name, line] of this.#lines) setText(line, this.context.language.word(name));
  }
}
