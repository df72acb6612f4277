// SPDX-License-Identifier: Apache-2.0
// The DOM events of <proxxy-console>. None of them bubbles, and none has a secret.
import type { State } from "./view.js";

export interface ConsoleEvents {
  state: CustomEvent<{ state: State }>;
  /** The guest answers, also after a lost connection. */
  connected: CustomEvent<null>;
  /** The connection was lost; the console tries again after that time. */
  reconnecting: CustomEvent<{ code: number; reason: string; milliseconds: number }>;
  /** The console has ended. live: the same link may open another one. */
  closed: CustomEvent<{ code: number; reason: string; live: boolean }>;
  /** The user asks for another link. preventDefault() keeps the element from going to its "again" address. */
  again: CustomEvent<null>;
  /** The user asks to close the console's window. */
  leave: CustomEvent<null>;
  /** The guest copied this text. */
  clipboard: CustomEvent<{ text: string }>;
  bell: CustomEvent<null>;
  latency: CustomEvent<{ milliseconds: number }>;
  /** The title that a terminal's program sets; "" is none. */
  consoletitle: CustomEvent<{ title: string }>;
}

export type ConsoleEventMap = HTMLElementEventMap & ConsoleEvents;
export type Detail<Name extends keyof ConsoleEvents> = ConsoleEvents[Name]["detail"];
