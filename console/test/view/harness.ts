// SPDX-License-Identifier: Apache-2.0
// The view with a picture in place of a guest, and controls that only write down what they are asked. The address says
// what is shown: harness.html?show=type&kind=vnc&lang=de&theme=dark&label=web-01&logo=URL&cannot=paste,copy
// show: a state (connecting, connected, reconnecting, ended, refused) or what is open while connected (see OPEN).

import type { Action, Kind, Options } from "../../src/guest.js";
import type { Controls, Message, State } from "../../src/view.js";
import { untypable } from "../../src/typing/layouts.js";
import { View } from "../../src/view/view.js";
import { drawScreen, TERMINAL_TEXT } from "./picture.js";

const query = new URLSearchParams(location.search);
const kind = (query.get("kind") ?? "vnc") as Kind;
const root = document.querySelector("#host")!.attachShadow({ mode: "open" });
const calls: unknown[][] = [];
const cannot = (query.get("cannot") ?? "").split(",");
let options: Options = {
  scaling: "fit",
  quality: "auto",
  viewOnly: false,
  fontSize: 15,
  screenReader: false,
  language: "en",
};

const guest = document.createElement(kind === "vnc" ? "canvas" : "pre");
guest.tabIndex = 0;
guest.className = "guest";
const keyboard = document.createElement("textarea"); // what a screen keyboard types into
keyboard.setAttribute("aria-label", "Keyboard");
keyboard.style.cssText = "position: absolute; opacity: 0; width: 1px; height: 1px";

const write =
  (name: string) =>
  (...values: unknown[]): void => {
    calls.push([name, ...values]);
  };

const controls: Controls = {
  can(action: Action) {
    const never: Action[] = kind === "vnc" ? ["search"] : ["type", "quality", "remote-size"];
    return ![...cannot, ...never].includes(action);
  },
  options: () => options,
  set(change) {
    calls.push(["set", change]);
    options = { ...options, ...change };
    view.update();
  },
  sendKeys: write("sendKeys"),
  hold: write("hold"),
  type: write("type"),
  paste: write("paste"),
  selection: () => (kind === "term" ? "root@web-01" : ""),
  keyboard(show) {
    calls.push(["keyboard", show]);
    if (show) keyboard.focus();
    else keyboard.blur();
  },
  search: (text) => TERMINAL_TEXT.includes(text),
  screenshot: write("screenshot"),
  fullScreen: write("fullScreen"),
  choose: write("choose"),
  untypable,
  focus: () => (root.activeElement === keyboard ? keyboard : guest).focus(),
};

const view = new View(root, kind, controls);

const find = <Found extends HTMLElement>(selector: string): Found => root.querySelector<Found>(selector)!;

function press(item: string): void {
  const button = find(`[data-item="${item}"]`);
  if (button.offsetWidth) {
    button.click();
    return;
  }
  find('[data-item="more"]').click();
  find(`[data-entry="${item}"]`).click();
}

function fill(selector: string, text: string): void {
  const field = find<HTMLTextAreaElement>(selector);
  field.value = text;
  field.dispatchEvent(new Event("input"));
}

const OPEN: Record<string, () => void> = {
  keys: () => press("keys"),
  scaling: () => press("scaling"),
  quality: () => press("quality"),
  more: () => find('[data-item="more"]').click(),
  help: () => press("help"),
  fold: () => press("fold"),
  type() {
    press("type");
    fill("#type-text", "#!/bin/sh\necho 'Grüße aus Köln: 5 €'");
  },
  clipboard() {
    view.setClipboard("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq8 admin@web-01");
    press("clipboard");
  },
  search() {
    press("search");
    fill(".search input", "nginx");
  },
  notice() {
    view.notify({ words: { word: "notice.typing", values: { done: 812, all: 2000 } }, progress: 0.406, cancel() {} });
    view.notify({ words: { word: "notice.time_left", values: { minutes: 5 } } });
  },
  extra() {
    press("keyboard");
    find('[data-key="Control"]').click();
    find('[data-key="Alt"]').click();
    find('[data-key="Alt"]').click();
    find('[data-key="Fn"]').click();
  },
};

const STATES: Record<string, State> = { connecting: "connecting", reconnecting: "reconnecting", ended: "ended" };

function begin(what: string): void {
  const state = what === "refused" ? "ended" : (STATES[what] ?? "connected");
  view.setState(state);
  if (state === "connected") {
    view.setLatency(Number(query.get("latency") ?? 24));
    controls.focus();
  }
  const messages: Record<string, Message> = {
    reconnecting: {
      sentence: [{ word: "lost.reconnecting_in", values: { seconds: 4 } }],
      choices: ["now", "stop"],
      details: "1006",
    },
    ended: { sentence: [{ word: "end.idle" }], choices: ["again"], details: "1000 Console was idle too long" },
    refused: { sentence: [{ word: "end.link_used" }], choices: ["panel", "close"], details: "1008 Used already" },
  };
  view.setMessage(messages[what] ?? null);
  OPEN[what]?.();
}

async function run(): Promise<void> {
  if (guest instanceof HTMLCanvasElement) drawScreen(guest);
  else guest.textContent = TERMINAL_TEXT;
  guest.style.cssText =
    kind === "vnc"
      ? "position: absolute; inset: 0; margin: auto; max-width: 100%; max-height: 100%; outline: none"
      : "height: 100%; padding: 10px; margin: 0; font: 15px/1.25 monospace; color: #d8dde6; outline: none";
  view.screen.append(guest, keyboard);
  view.setLabel(query.get("label") ?? "web-01.example.net");
  view.setLogo(query.get("logo") ?? "");
  view.setTheme((query.get("theme") ?? "auto") as "auto" | "light" | "dark");
  view.setLayout(query.get("layout") ?? "us");
  await view.setLanguage(query.get("lang") ?? "en");
  begin(query.get("show") ?? "connected");
  Object.assign(window, { view, root, calls, ready: true });
}

void run();
