// SPDX-License-Identifier: Apache-2.0
// What the bar has for each kind of guest, and what of it can be used at the moment.

import type { Action, Kind, Options } from "../guest.js";
import type { State } from "../view.js";
import type { IconName } from "./icons.js";

export type ItemId =
  | "keyboard" | "keys" | "type" | "clipboard"
  | "scaling" | "quality" | "smaller" | "larger" | "search" | "screenReader" | "viewOnly"
  | "screenshot" | "fullScreen" | "help";

export interface Item {
  id: ItemId;
  icon: IconName;
  word: string;
  type: "button" | "toggle" | "menu";
  /** Items of a group stand together. */
  group: number;
  /** In a bar that is too narrow, the item with the smallest value moves into the menu "More" first. */
  keep: number;
  kind?: Kind; // of one kind of guest only
  touch?: boolean; // on touch screens only
}

const ITEMS: Item[] = [
  { id: "keyboard", icon: "keyboard", word: "bar.keyboard", type: "toggle", group: 0, keep: 100, touch: true },
  { id: "keys", icon: "keys", word: "bar.keys", type: "menu", group: 1, keep: 90 },
  { id: "type", icon: "type", word: "bar.type", type: "button", group: 1, keep: 70, kind: "vnc" },
  { id: "clipboard", icon: "clipboard", word: "bar.clipboard", type: "toggle", group: 1, keep: 80 },
  { id: "scaling", icon: "scaling", word: "bar.scaling", type: "menu", group: 2, keep: 60, kind: "vnc" },
  { id: "quality", icon: "quality", word: "bar.quality", type: "menu", group: 2, keep: 30, kind: "vnc" },
  { id: "smaller", icon: "smaller", word: "bar.smaller", type: "button", group: 2, keep: 51, kind: "term" },
  { id: "larger", icon: "larger", word: "bar.larger", type: "button", group: 2, keep: 52, kind: "term" },
  { id: "search", icon: "search", word: "bar.search", type: "toggle", group: 2, keep: 60, kind: "term" },
  { id: "screenReader", icon: "screenReader", word: "bar.screen_reader", type: "toggle", group: 3, keep: 20,
    kind: "term" },
  { id: "viewOnly", icon: "viewOnly", word: "bar.view_only", type: "toggle", group: 3, keep: 40 },
  { id: "screenshot", icon: "screenshot", word: "bar.screenshot", type: "button", group: 4, keep: 35 },
  { id: "fullScreen", icon: "fullScreen", word: "bar.full_screen", type: "button", group: 4, keep: 50 },
  { id: "help", icon: "help", word: "bar.help", type: "button", group: 4, keep: 10 },
];

/** What decides whether an item can be used, and whether it is pressed. */
export interface Status {
  state: State;
  can(action: Action): boolean;
  options: Options;
}

export interface Possible {
  touch: boolean;
  fullScreen: boolean; // the browser can do it
}

export function itemsOf(kind: Kind, possible: Possible): Item[] {
  return ITEMS.filter((item) => {
    if (item.kind && item.kind !== kind) return false;
    if (item.touch && !possible.touch) return false;
    return item.id !== "fullScreen" || possible.fullScreen;
  });
}

/** Whether a guest can be reached, and takes input. */
export function takesInput({ state, options }: Status): boolean {
  return state === "connected" && !options.viewOnly;
}

export function isEnabled(id: ItemId, status: Status): boolean {
  switch (id) {
    case "fullScreen":
    case "help":
      return true;
    case "keyboard":
      return takesInput(status);
    case "keys":
    case "type":
      return takesInput(status) && status.can(id);
    case "clipboard":
      return status.state === "connected" && (status.can("copy") || (takesInput(status) && status.can("paste")));
    case "search":
    case "quality":
    case "screenshot":
      return status.state === "connected" && status.can(id);
    default:
      return status.state !== "ended";
  }
}

/** The order in which items leave a bar that is too narrow. */
export function leavingOrder(items: Item[]): ItemId[] {
  return [...items].sort((a, b) => a.keep - b.keep).map(({ id }) => id);
}
