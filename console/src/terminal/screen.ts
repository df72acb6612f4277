// SPDX-License-Identifier: Apache-2.0
// The terminal's screen: xterm.js with its addons, inside a document or a shadow root.

import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon, type ISearchOptions } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import xtermStyle from "@xterm/xterm/css/xterm.css";

import { copiedByGuest, pastable } from "./copy.js";
import { Links } from "./links.js";
import ownStyle from "./style.css";
import { Theme } from "./theme.js";
import { Graphics } from "./webgl.js";
import { useWidths } from "./widths.js";

const SCROLLBACK = 5000;
const FONT_SIZE = 15;
const OSC_CLIPBOARD = 52;
const FOUND: ISearchOptions["decorations"] = {
  ...{ matchBackground: "#5c4a00", matchOverviewRuler: "#e3b341" },
  ...{ activeMatchBackground: "#9e6a00", activeMatchColorOverviewRuler: "#ffffff" },
};

export interface ScreenEvents {
  data(text: string): void;
  resized(columns: number, rows: number): void;
  selected(): void;
  bell(): void;
  title(text: string): void;
  clipboard(text: string): void;
}

export class Screen {
  readonly terminal: Terminal;
  #frame: HTMLElement;
  #theme: Theme;
  #fit = new FitAddon();
  #search = new SearchAddon();
  #graphics: Graphics;
  #observer: ResizeObserver;
  #root: Document | ShadowRoot;
  #styles: CSSStyleSheet[];
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #fontSize = FONT_SIZE;

  constructor(parent: HTMLElement, events: ScreenEvents) {
    this.#root = parent.getRootNode() as Document | ShadowRoot;
    this.#styles = [xtermStyle, ownStyle].map(styleSheet);
    this.#root.adoptedStyleSheets = [...this.#root.adoptedStyleSheets, ...this.#styles];
    this.#frame = document.createElement("div");
    this.#frame.className = "terminal-frame";
    parent.append(this.#frame);
    this.#theme = new Theme(this.#frame, () => this.#colour());
    const links = new Links(this.#frame);
    this.terminal = new Terminal({
      allowProposedApi: true, // of Unicode's widths and what search marks
      cursorBlink: !this.#still.matches,
      fontFamily: this.#theme.font(),
      fontSize: FONT_SIZE,
      linkHandler: { activate: links.activate, hover: links.hover, leave: links.leave },
      macOptionClickForcesSelection: true,
      scrollback: SCROLLBACK,
      theme: this.#theme.read(),
    });
    this.terminal.loadAddon(this.#fit);
    this.terminal.loadAddon(this.#search);
    useWidths(this.terminal);
    this.terminal.loadAddon(new WebLinksAddon(links.activate, { hover: links.hover, leave: links.leave }));
    this.terminal.open(this.#frame);
    this.#graphics = new Graphics(this.terminal);
    this.#colour();
    this.#listen(events);
    this.#still.addEventListener("change", this.#blink);
    this.#observer = new ResizeObserver(() => this.fit());
    this.#observer.observe(this.#frame);
    this.fit();
  }

  /** Takes the size of the element. In a hidden one, as in a panel's tab, xterm.js cannot measure. */
  fit(): void {
    if (this.#frame.clientWidth === 0 || this.#frame.clientHeight === 0) return;
    this.terminal.options.fontSize = this.#fontSize;
    this.#fit.fit();
  }

  /** What a screen reader calls the field that takes the keys. */
  setLabel(text: string): void {
    this.terminal.textarea?.setAttribute("aria-label", text);
  }

  setFontSize(pixels: number): void {
    this.#fontSize = pixels;
    this.fit();
    requestAnimationFrame(() => this.fit()); // an element that is shown at once again tells of no other size
  }

  setScreenReader(on: boolean): void {
    this.terminal.options.screenReaderMode = on;
    this.#graphics.use(!on); // a screen reader reads HTML
  }

  /** The lines, with those above the window. */
  text(): string {
    const { active } = this.terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, at) => active.getLine(at)!.translateToString(true));
    return lines.join("\n").trimEnd();
  }

  paste(text: string): void {
    this.terminal.paste(pastable(text));
  }

  /** Searches from the selection on; "" ends the search. */
  search(text: string, backwards: boolean): boolean {
    if (!text) {
      this.#search.clearDecorations();
      this.terminal.clearSelection();
      return false;
    }
    const options = { decorations: FOUND };
    return backwards ? this.#search.findPrevious(text, options) : this.#search.findNext(text, options);
  }

  /** Without a keyboard on the screen, focus() opens none. */
  keyboard(show: boolean): void {
    const field = this.terminal.textarea!;
    field.inputMode = show ? "text" : "none";
    field.blur(); // a field that has the focus already opens no keyboard
    if (show) field.focus();
  }

  end(): void {
    this.#observer.disconnect();
    this.#still.removeEventListener("change", this.#blink);
    this.terminal.dispose();
    this.#frame.remove();
    this.#root.adoptedStyleSheets = this.#root.adoptedStyleSheets.filter((sheet) => !this.#styles.includes(sheet));
  }

  #listen(events: ScreenEvents): void {
    this.terminal.onData(events.data);
    this.terminal.onResize(({ cols, rows }) => events.resized(cols, rows));
    this.terminal.onSelectionChange(events.selected);
    this.terminal.onTitleChange(events.title);
    this.terminal.onBell(events.bell);
    this.terminal.parser.registerOscHandler(OSC_CLIPBOARD, (data) => {
      const text = copiedByGuest(data);
      if (text) events.clipboard(text);
      return true;
    });
    const paste = (event: ClipboardEvent): void => {
      event.stopPropagation(); // xterm.js would paste all of it
      this.paste(event.clipboardData?.getData("text/plain") ?? "");
    };
    this.#frame.addEventListener("paste", paste, { capture: true });
    // Ctrl and the wheel is the browser's zoom: xterm.js must not see it.
    const zoom = (event: WheelEvent): void => void (event.ctrlKey && event.stopPropagation());
    this.#frame.addEventListener("wheel", zoom, { capture: true, passive: true });
  }

  #colour(): void {
    const theme = this.#theme.read();
    this.terminal.options.theme = theme;
    this.#frame.style.backgroundColor = theme.background!;
  }

  #blink = (): void => {
    this.terminal.options.cursorBlink = !this.#still.matches;
  };
}

function styleSheet(text: string): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return sheet;
}
