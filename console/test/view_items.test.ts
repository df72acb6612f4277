// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action, Options } from "../src/guest.js";
import { isEnabled, itemsOf, leavingOrder, type Item, type Status } from "../src/view/items.js";

const OPTIONS: Options = {
  scaling: "fit",
  quality: "auto",
  viewOnly: false,
  fontSize: 15,
  screenReader: false,
  language: "en",
};
const DESK = { touch: false, fullScreen: true };

const ids = (items: Item[]): string[] => items.map(({ id }) => id);

function status(change: Partial<Status> = {}, cannot: Action[] = []): Status {
  return { state: "connected", options: OPTIONS, can: (action) => !cannot.includes(action), ...change };
}

test("each kind of guest has its own controls", () => {
  const screen = ids(itemsOf("vnc", DESK));
  const terminal = ids(itemsOf("term", DESK));
  for (const id of ["scaling", "quality", "type"]) assert.ok(screen.includes(id) && !terminal.includes(id), id);
  for (const id of ["smaller", "larger", "search", "screenReader"])
    assert.ok(!screen.includes(id) && terminal.includes(id), id);
  for (const id of ["keys", "clipboard", "viewOnly", "screenshot", "fullScreen", "help"])
    assert.ok(screen.includes(id) && terminal.includes(id), id);
});

test("what the device cannot do is not offered", () => {
  assert.ok(!ids(itemsOf("vnc", { touch: true, fullScreen: false })).includes("fullScreen"));
  assert.ok(!ids(itemsOf("vnc", DESK)).includes("keyboard"));
  assert.ok(ids(itemsOf("vnc", { touch: true, fullScreen: true })).includes("keyboard"));
});

test("while there is no console, its controls cannot be used; full screen and help can", () => {
  for (const state of ["connecting", "reconnecting", "ended"] as const) {
    for (const id of ["keys", "type", "clipboard", "screenshot", "search", "keyboard", "quality"] as const)
      assert.equal(isEnabled(id, status({ state })), false, `${state} ${id}`);
    assert.equal(isEnabled("fullScreen", status({ state })), true);
    assert.equal(isEnabled("help", status({ state })), true);
  }
  assert.equal(isEnabled("scaling", status({ state: "connecting" })), true);
  assert.equal(isEnabled("scaling", status({ state: "ended" })), false);
});

test("what the guest cannot do is disabled", () => {
  for (const action of ["keys", "type", "search", "quality", "screenshot"] as const) {
    assert.equal(isEnabled(action, status()), true, action);
    assert.equal(isEnabled(action, status({}, [action])), false, action);
  }
  assert.equal(isEnabled("clipboard", status({}, ["copy"])), true);
  assert.equal(isEnabled("clipboard", status({}, ["copy", "paste"])), false);
});

test("a console that is only viewed takes no keys, no text and no clipboard", () => {
  const viewing = status({ options: { ...OPTIONS, viewOnly: true } }, ["copy"]);
  for (const id of ["keys", "type", "keyboard", "clipboard"] as const) assert.equal(isEnabled(id, viewing), false, id);
  assert.equal(isEnabled("viewOnly", viewing), true);
  assert.equal(isEnabled("screenshot", viewing), true);
});

test("in a narrow bar, the screen keyboard and the keys stay longest", () => {
  const order = leavingOrder(itemsOf("vnc", { touch: true, fullScreen: true }));
  assert.deepEqual(order.slice(-3), ["clipboard", "keys", "keyboard"]);
  assert.equal(order[0], "help");
});
