// SPDX-License-Identifier: Apache-2.0
// What the element (element.ts) and the two kinds of consoles (vnc/, terminal/) know of each other.

import type { Channel } from "./channel.js";

export type Kind = "vnc" | "term";

/** A key, by its name in the browser (KeyboardEvent.key): "a", "Enter", "Control", "F1", "PrintScreen". */
export type Key = string;

/** fit: the picture is scaled to the window. actual: one pixel is one pixel, and the picture can be dragged.
 *  remote: the guest's screen takes the window's size. */
export type Scaling = "fit" | "actual" | "remote";

/** auto: chosen by the measured speed. */
export type Quality = "auto" | "low" | "medium" | "high";

/** What the user or the panel can change while a console is shown. A guest ignores what it cannot do. */
export interface Options {
  scaling: Scaling;
  quality: Quality;
  viewOnly: boolean;
  fontSize: number; // in pixels, of a terminal
  screenReader: boolean; // a terminal's text for screen readers
  language: string; // BCP 47, of the words that a guest shows itself
  layout?: string; // the guest's keyboard layout (typing/layouts.ts), for what a screen keyboard types
}

/** What a guest tells its element. */
export interface Events {
  /** The guest answers on this connection. */
  connected(): void;
  /** The guest itself found something wrong; the connection ends with Close 4000 and this reason. */
  fail(reason: string): void;
  /** No byte came although one was due: the network or Proxmox is gone. The element drops the connection. */
  lost(): void;
  /** The time in milliseconds from a request to its answer. */
  latency(milliseconds: number): void;
  /** The guest copied a text. */
  clipboard(text: string): void;
  bell(): void;
  /** The guest can now do these things, or cannot any more (see can()). */
  changed(): void;
  /** The guest's own title, such as a terminal's; "" is none. */
  title(text: string): void;
}

/** Actions that not every guest can do; the bar disables the others. */
export type Action = "keys" | "type" | "paste" | "copy" | "remote-size" | "quality" | "search" | "screenshot";

export interface Typing {
  /** The characters typed so far, of all. */
  progress?(done: number, all: number): void;
  signal?: AbortSignal;
  /** The guest's keyboard layout (typing/layouts.ts), such as "us" or "de". */
  layout?: string;
}

export interface Guest {
  readonly kind: Kind;
  /** Uses a new connection, which replaces an earlier one. Its messages are held until here. */
  open(channel: Channel, events: Events): void;
  /** Applies what changed; called once before open(). */
  set(options: Partial<Options>): void;
  can(action: Action): boolean;
  /** Takes the keyboard. */
  focus(): void;
  /** Presses the keys in this order, then releases them in the reverse order: ["Control", "Alt", "Delete"]. */
  sendKeys(keys: Key[]): void;
  /** A modifier of the row of extra keys ("Control", "Alt", "Shift", "Meta") stays down until it is let go. */
  hold(modifier: Key, down: boolean): void;
  /** Types a text key by key. Takes no other input meanwhile; releases every modifier at the end, also of an abort.
   *  Rejects with an AbortError if the signal or the end of the connection stopped it. */
  type(text: string, typing?: Typing): Promise<void>;
  /** Puts a text into the guest's clipboard (VNC), or pastes it (terminal). */
  paste(text: string): void;
  /** The text that is selected (terminal) or was last copied (VNC). */
  selection(): string;
  /** All lines of a terminal, those above the window too; "" for a VNC screen. */
  text(): string;
  /** Shows or hides the phone's screen keyboard. */
  keyboard(show: boolean): void;
  /** Searches a terminal's lines; returns whether the text was found. "" ends the search. */
  search(text: string, backwards?: boolean): boolean;
  /** The picture, as a PNG. */
  screenshot(): Promise<Blob>;
  /** Removes all of it from the page. */
  end(): void;
}

/** The old kind of link has the console's credentials beside the payload. */
export interface Credentials {
  password?: string; // of VNC
  user?: string; // of a terminal
  ticket?: string; // of a terminal
}

/** Makes a guest's console inside this element, which has no other content. */
export type MakeGuest = (screen: HTMLElement, credentials: Credentials) => Guest;
