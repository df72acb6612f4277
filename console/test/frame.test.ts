// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame, type Commands } from "../src/frame.js";
import { settle } from "./lib/fakes.js";

const OWN = "https://panel.example.com";
const PANEL = "https://other.example";
const EVIL = "https://evil.example";

class FakeWindow extends EventTarget {
  parent: unknown = this;
  opener: unknown = null;
  location: { origin: string; ancestorOrigins?: string[] } = { origin: OWN };
  got: [unknown, string][] = [];

  postMessage(message: unknown, origin: string): void {
    this.got.push([message, origin]);
  }
}

class FakeConsole extends EventTarget implements Commands {
  done: unknown[] = [];
  scaling = "fit";
  payload = "";
  async type(...values: unknown[]): Promise<void> {
    this.done.push(["type", ...values]);
  }
  paste(...values: unknown[]): void {
    this.done.push(["paste", ...values]);
  }
  sendKeys(...values: unknown[]): void {
    this.done.push(["sendKeys", ...values]);
  }
  ctrlAltDel(): void {
    this.done.push(["ctrlAltDel"]);
  }
  connect(): boolean {
    return true;
  }
  disconnect(): void {
    this.done.push(["disconnect"]);
  }
  fit(): void {}
  async fullScreen(): Promise<void> {
    throw new Error("not allowed");
  }
  async screenshot(): Promise<Blob> {
    return new Blob(["x"]);
  }
  focus(): void {}
}

class Stage {
  window = new FakeWindow();
  panel = new FakeWindow();
  console = new FakeConsole();
  frame: Frame;

  constructor(panels: string[] = [PANEL], has: "parent" | "opener" | "" = "parent") {
    if (has) this.window[has] = this.panel;
    this.frame = new Frame(this.window as unknown as Window, this.console);
    this.frame.allow(panels);
  }

  async say(origin: string, message: unknown): Promise<void> {
    const event = Object.assign(new Event("message"), { data: message, origin, source: this.panel });
    this.window.dispatchEvent(event);
    await settle();
  }

  tell(name: string, detail: unknown): Event {
    const event = Object.assign(new Event(name, { cancelable: true }), { detail });
    this.console.dispatchEvent(event);
    return event;
  }
}

test("commands of the page's own origin and of the panel's are done, of others not", async () => {
  const stage = new Stage();
  for (const origin of [OWN, PANEL, EVIL, "null"])
    await stage.say(origin, { type: "proxxy:command", command: "type", text: origin, layout: "de" });
  assert.deepEqual(stage.console.done, [
    ["type", OWN, { layout: "de" }],
    ["type", PANEL, { layout: "de" }],
  ]);
});

test("another link's panels take the place of the earlier ones", async () => {
  const stage = new Stage();
  stage.frame.allow([]);
  await stage.say(PANEL, { type: "proxxy:command", command: "ctrlAltDel" });
  assert.deepEqual(stage.console.done, []);
});

test("a command with an id has a result", async () => {
  const stage = new Stage();
  await stage.say(PANEL, { type: "proxxy:command", command: "connect", id: 1 });
  await stage.say(PANEL, { type: "proxxy:command", command: "fullScreen", id: 2 });
  await stage.say(PANEL, { type: "proxxy:command", command: "disconnect" });
  assert.deepEqual(stage.panel.got, [
    [{ type: "proxxy:result", command: "connect", id: 1, value: true }, PANEL],
    [{ type: "proxxy:result", command: "fullScreen", id: 2, error: "not allowed" }, PANEL],
  ]);
});

test("commands are checked", async () => {
  const stage = new Stage();
  const wrong = [
    { command: "type" },
    { command: "paste", text: 1 },
    { command: "sendKeys", keys: "Control" },
    { command: "sendKeys", keys: [1] },
    { command: "set", options: null },
    { command: "set", options: { payload: "theirs" } },
    { command: "constructor" },
    {},
  ];
  for (const message of wrong) await stage.say(PANEL, { type: "proxxy:command", id: 1, ...message });
  assert.equal(stage.panel.got.filter(([message]) => "error" in (message as object)).length, wrong.length);
  assert.deepEqual(stage.console.done, []);
  assert.equal(stage.console.payload, "");
  await stage.say(PANEL, null);
  await stage.say(PANEL, "text");
});

test("set changes what a panel decides", async () => {
  const stage = new Stage();
  await stage.say(PANEL, { type: "proxxy:command", command: "set", options: { scaling: "actual" } });
  assert.equal(stage.console.scaling, "actual");
});

test("what happens to the connection is told to any panel; what the guest says only to those that are allowed", () => {
  const stage = new Stage();
  stage.window.location.ancestorOrigins = [PANEL];
  stage.tell("connected", null);
  stage.tell("closed", { code: 1006, reason: "", live: true });
  stage.tell("clipboard", { text: "secret" });
  stage.tell("consoletitle", { title: "vim" });
  assert.deepEqual(stage.panel.got, [
    [{ type: "proxxy:connected" }, "*"],
    [{ type: "proxxy:closed", code: 1006, reason: "" }, "*"],
    [{ type: "proxxy:clipboard", text: "secret" }, PANEL],
    [{ type: "proxxy:title", title: "vim" }, PANEL],
  ]);
  stage.window.location.ancestorOrigins = [EVIL];
  stage.tell("clipboard", { text: "secret" });
  assert.equal(stage.panel.got.length, 4);
});

test("where the browser does not say whose frame it is, it checks the origins itself", () => {
  const stage = new Stage();
  stage.tell("bell", null);
  assert.deepEqual(stage.panel.got, [
    [{ type: "proxxy:bell" }, OWN],
    [{ type: "proxxy:bell" }, PANEL],
  ]);
});

test("a panel that is asked for another link keeps the page from going to the address for that", () => {
  const stage = new Stage();
  assert.equal(stage.tell("again", null).defaultPrevented, true);
  assert.deepEqual(stage.panel.got, [[{ type: "proxxy:again" }, "*"]]);
});

test("a page of its own has nobody to tell", () => {
  const stage = new Stage([], "");
  assert.equal(stage.frame.panel, null);
  assert.equal(stage.tell("again", null).defaultPrevented, false);
  stage.tell("bell", null);
  assert.deepEqual(stage.panel.got, []);
});

test("the window that opened the page is its panel", () => {
  const stage = new Stage([], "opener");
  stage.tell("connected", null);
  assert.deepEqual(stage.panel.got, [[{ type: "proxxy:connected" }, "*"]]);
});
