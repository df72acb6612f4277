// SPDX-License-Identifier: Apache-2.0
// The element (element.ts), as it is seen from inside (console.ts).
import type { ConsoleEvents, Detail } from "./events.js";
import type { Credentials, MakeGuest, Options } from "./guest.js";
import type { Choice } from "./view.js";

/** What opens a console. */
export interface Opener {
  payload: string;
  credentials: Credentials;
  websocket: string; // relative to the document
}

export interface Host extends HTMLElement {
  readonly layout: string;
  readonly label: string;
  readonly again: string;
  readonly sessionMax: number;
  /** What helps at an end, besides the same link. */
  readonly offers: Choice[];
  options(): Options;
  /** The user chose in the bar. */
  setOptions(options: Partial<Options>): void;
  /** Returns false if a listener prevents what the element does then. */
  emit<Name extends keyof ConsoleEvents>(name: Name, detail: Detail<Name>): boolean;
}

/** A guest's code, which a panel's bundler may have put into a file of its own. */
export type Loader = () => Promise<MakeGuest>;
