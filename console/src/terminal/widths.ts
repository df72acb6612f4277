// SPDX-License-Identifier: Apache-2.0
// How many columns a character takes: as many as wcwidth() of the C library says, which the guest's shells and editors
// ask. So an emoji of several characters is shown as these, and the cursor is where the guest believes it is.

import { Unicode11Addon } from "@xterm/addon-unicode11";
import type { IUnicodeVersionProvider, Terminal } from "@xterm/xterm";

const VERSION = "wcwidth";
const FIRST_OTHER = 0x80;
const SOFT_HYPHEN = 0xad;
const WIDE = /^\p{Emoji_Presentation}$/u;
/** Half of a flag. */
const NARROW = /^\p{Regional_Indicator}$/u;
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;

/** The addon has the table of Unicode 11; the browser knows the emoji and marks that came later. */
export class Widths implements Pick<IUnicodeVersionProvider, "version" | "wcwidth"> {
  readonly version = VERSION;
  #table: IUnicodeVersionProvider;
  #known = new Map<number, 0 | 1 | 2>();

  constructor(table: IUnicodeVersionProvider) {
    this.#table = table;
  }

  wcwidth(codepoint: number): 0 | 1 | 2 {
    if (codepoint < FIRST_OTHER) return this.#table.wcwidth(codepoint);
    let width = this.#known.get(codepoint);
    if (width === undefined) {
      width = this.#compute(codepoint);
      this.#known.set(codepoint, width);
    }
    return width;
  }

  #compute(codepoint: number): 0 | 1 | 2 {
    const character = String.fromCodePoint(codepoint);
    if (NO_WIDTH.test(character) && codepoint !== SOFT_HYPHEN) return 0;
    if (WIDE.test(character) && !NARROW.test(character)) return 2;
    return this.#table.wcwidth(codepoint);
  }
}

/** The table of the addon, which only a terminal gets. */
export function unicode11(): IUnicodeVersionProvider {
  let table: IUnicodeVersionProvider | null = null;
  const unicode = { register: (provider: IUnicodeVersionProvider) => (table = provider) };
  new Unicode11Addon().activate({ unicode } as unknown as Terminal);
  return table!;
}

export function useWidths(terminal: Terminal): void {
  const table = unicode11();
  const widths = new Widths(table);
  // How characters are joined is the addon's, by the widths that it asks itself for.
  terminal.unicode.register(
    Object.create(table, {
      version: { value: widths.version },
      wcwidth: { value: (codepoint: number) => widths.wcwidth(codepoint) },
    }),
  );
  terminal.unicode.activeVersion = widths.version;
}
