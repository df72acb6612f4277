// SPDX-License-Identifier: Apache-2.0
// The terminal's colours, from CSS custom properties of the element or the page around it, such as
// --proxxy-terminal-background. They may be any CSS colour and change at any time.

import type { ITheme } from "@xterm/xterm";

const PREFIX = "--proxxy-terminal-";
/** The names of xterm.js, their custom properties, and what they are without one. Text has a contrast of at least 4.5
 *  to 1 with the background, "black" aside. */
const COLOURS = {
  background: ["background", "var(--proxxy-screen, #0b0e12)"],
  foreground: ["foreground", "var(--proxxy-on-screen, #e6e8eb)"],
  cursor: ["cursor", "#e6e8eb"],
  cursorAccent: ["cursor-text", "#0b0e12"],
  selectionBackground: ["selection", "rgb(110 160 255 / 0.38)"],
  black: ["black", "#22272e"],
  red: ["red", "#ff7b72"],
  green: ["green", "#56d364"],
  yellow: ["yellow", "#e3b341"],
  blue: ["blue", "#6cb6ff"],
  magenta: ["magenta", "#d2a8ff"],
  cyan: ["cyan", "#56d4dd"],
  white: ["white", "#c9d1d9"],
  brightBlack: ["bright-black", "#8b949e"],
  brightRed: ["bright-red", "#ffa198"],
  brightGreen: ["bright-green", "#7ee787"],
  brightYellow: ["bright-yellow", "#f2cc60"],
  brightBlue: ["bright-blue", "#96d0ff"],
  brightMagenta: ["bright-magenta", "#e2c5ff"],
  brightCyan: ["bright-cyan", "#9aedf5"],
  brightWhite: ["bright-white", "#ffffff"],
} as const satisfies Partial<Record<keyof ITheme, readonly [string, string]>>;

/** The property of a terminal's font. */
export const FONT = ["--proxxy-terminal-font", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"] as const;

/** Reads the colours where the element is, and calls changed when one of them is another. */
export class Theme {
  #samples: HTMLElement;

  constructor(parent: HTMLElement, changed: () => void) {
    // Hidden samples: the browser works the colours out, whatever they are written as, and a transition tells of a
    // change, whatever made it.
    this.#samples = document.createElement("div");
    this.#samples.style.cssText = "position: absolute; visibility: hidden; pointer-events: none";
    this.#samples.setAttribute("aria-hidden", "true");
    for (const [property, usual] of Object.values(COLOURS)) {
      const sample = document.createElement("i");
      sample.style.cssText = `color: var(${PREFIX}${property}, ${usual}); transition: color 1ms step-start`;
      this.#samples.append(sample);
    }
    parent.append(this.#samples);
    this.#samples.addEventListener("transitionend", changed);
  }

  read(): ITheme {
    const samples = [...this.#samples.children];
    return Object.fromEntries(Object.keys(COLOURS).map((name, i) => [name, getComputedStyle(samples[i]!).color]));
  }

  font(): string {
    return getComputedStyle(this.#samples).getPropertyValue(FONT[0]).trim() || FONT[1];
  }
}
