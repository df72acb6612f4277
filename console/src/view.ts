// SPDX-License-Identifier: Apache-2.0
// What the element (element.ts) and what is seen around a guest's screen (bar, messages, notices) know of each other.

import type { Action, Key, Options } from "./guest.js";

export type State = "connecting" | "connected" | "reconnecting" | "ended";

/** A button of the box that says how a console ended. now: reconnect without the pause; stop: reconnect no more;
 *  again: connect with the same link; panel: ask the panel for another link; close: close this window. */
export type Choice = "now" | "stop" | "again" | "panel" | "close";

/** A word's name in the language files (languages/en.json), with the values for its places ("{seconds}"). */
export interface Words {
  word: string;
  values?: Record<string, string | number>;
}

export interface Message {
  sentence: Words[];
  /** The first one is the main one. */
  choices: Choice[];
  /** Choices that are shown but cannot be pressed at the moment; they keep the focus. */
  disabled?: Choice[];
  /** For support: the WebSocket's code and reason. */
  details?: string;
}

/** A line that appears over the screen for a while, or until cancel() is pressed. */
export interface Notice {
  words: Words;
  progress?: number; // 0 to 1
  cancel?(): void;
  action?: { words: Words; run(): void };
}

/** What the view asks of the element. Each returns the focus to the guest, unless something else has to have it. */
export interface Controls {
  can(action: Action): boolean;
  options(): Options;
  set(options: Partial<Options>): void;
  sendKeys(keys: Key[]): void;
  hold(modifier: Key, down: boolean): void;
  /** Types the text with that layout; shows the progress as a notice with a Cancel. */
  type(text: string, layout: string): void;
  paste(text: string): void;
  selection(): string;
  keyboard(show: boolean): void;
  search(text: string, backwards?: boolean): boolean;
  screenshot(): void;
  fullScreen(): void;
  choose(choice: Choice): void;
  /** The characters of the text that this layout cannot type. */
  untypable(text: string, layout: string): string[];
  focus(): void;
}

/** Around the screen. Made with new View(root, kind, controls); root is the element's shadow root. */
export interface ViewLike {
  /** The element in which the guest shows its console. */
  readonly screen: HTMLElement;
  setState(state: State): void;
  setLabel(text: string): void;
  /** null removes it. */
  setMessage(message: Message | null): void;
  /** Returns a function that removes it. */
  notify(notice: Notice, milliseconds?: number): () => void;
  setLatency(milliseconds: number | null): void;
  /** What the guest copied: the clipboard's panel shows it where the browser does not let us write. */
  setClipboard(text: string): void;
  /** can() or options() of the controls answer differently now. */
  update(): void;
  setLanguage(language: string): Promise<void>;
  /** "none" hides the bar. */
  setBar(bar: "full" | "none"): void;
  setLogo(url: string): void;
  setTheme(theme: "auto" | "light" | "dark"): void;
  /** The guest's keyboard layout, which the dialog for typed text offers first. */
  setLayout(layout: string): void;
  end(): void;
}
