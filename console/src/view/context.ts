// SPDX-License-Identifier: Apache-2.0
// What the parts of the view have in common.

import type { Kind } from "../guest.js";
import type { Language } from "../i18n.js";
import type { Controls, State } from "../view.js";

export interface Context {
  /** The element that has all of the view. */
  readonly view: HTMLElement;
  readonly root: ShadowRoot;
  readonly kind: Kind;
  readonly controls: Controls;
  language: Language;
  state: State;
  label: string;
}

/** A part of the view. */
export interface Part {
  readonly element: HTMLElement;
  /** Writes the words anew: the language has changed. */
  translate(): void;
}
