// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { lives, parseLink, TabLink, type Place } from "../src/link.js";

const ORIGIN = "https://panel.example.com";

class FakeStorage {
  [name: string]: unknown;
  getItem(name: string): string | null {
    return Object.hasOwn(this, name) ? (this[name] as string) : null;
  }
  setItem(name: string, value: string): void {
    this[name] = value;
  }
  removeItem(name: string): void {
    delete this[name];
  }
}

let storage = new FakeStorage();
let place: Place & { addresses: (string | undefined)[]; blocked: boolean };

function makePlace(hash: string) {
  let state: unknown = null;
  return {
    blocked: false,
    addresses: [] as (string | undefined)[],
    location: { hash, pathname: "/console/novnc.html", search: "", origin: ORIGIN },
    history: {
      get state() {
        return state;
      },
      replaceState(data: unknown, _: string, url?: string) {
        state = data;
        if (url === undefined) return;
        place.addresses.push(url);
        place.location.hash = "";
      },
    },
    get sessionStorage(): Storage {
      if (place.blocked) throw new Error("blocked");
      return storage as unknown as Storage;
    },
  };
}

beforeEach(() => {
  storage = new FakeStorage();
  place = makePlace("#payload=abc&title=VM%20100");
});

test("a link is taken out of the address and kept", () => {
  const tab = new TabLink(place);
  assert.equal(tab.take(), "payload=abc&title=VM%20100");
  assert.deepEqual(place.addresses, ["/console/novnc.html"]);
  assert.deepEqual(Object.values(storage), ["payload=abc&title=VM%20100"]);
  assert.equal(tab.take(), "payload=abc&title=VM%20100");
  // After a reload, the state is there still.
  assert.equal(new TabLink(place).take(), "payload=abc&title=VM%20100");
});

test("a link with a console's ticket is not kept", () => {
  place.location.hash = "#payload=abc&password=x";
  const tab = new TabLink(place);
  assert.equal(tab.take(), "payload=abc&password=x");
  assert.deepEqual(Object.values(storage), []);
  assert.equal(tab.take(), "");
});

test("forget() leaves nothing", () => {
  const tab = new TabLink(place);
  tab.take();
  tab.forget();
  assert.deepEqual(Object.values(storage), []);
  assert.equal(place.history.state, null);
  assert.equal(tab.take(), "");
});

test("another link takes the place of the one that was kept", () => {
  const tab = new TabLink(place);
  tab.take();
  // The browser makes a new entry of its history for it, which has no state.
  place.location.hash = "#payload=def";
  place.history.replaceState(null, "");
  assert.equal(tab.take(), "payload=def");
  assert.deepEqual(Object.values(storage), ["payload=def"]);
});

test("sixteen links of others stay, and what is not ours", () => {
  for (let i = 10; i < 40; i++) storage.setItem(`proxxy-link-${i}`, "other");
  storage.setItem("panel", "mine");
  new TabLink(place).take();
  assert.equal(Object.keys(storage).length, 16 + 1 + 1);
  assert.equal(storage.getItem("proxxy-link-24"), "other");
  assert.equal(storage.getItem("proxxy-link-23"), null);
});

test("where there is no storage, the link opens its console once", () => {
  place.blocked = true;
  const tab = new TabLink(place);
  assert.equal(tab.take(), "payload=abc&title=VM%20100");
  tab.forget();
  assert.equal(tab.take(), "");
});

test("what a link can have", () => {
  const text =
    "payload=abc&title=VM&user=root@pam&ticket=t&session_max=3600&again=/vm/100/console&panel=https://a.example/x" +
    "&panel=http://b.example:8080&lang=de&layout=fr&view_only=1&bar=none";
  assert.deepEqual(parseLink(text, ORIGIN), {
    payload: "abc",
    title: "VM",
    credentials: { user: "root@pam", ticket: "t" },
    sessionMax: 3600,
    again: `${ORIGIN}/vm/100/console`,
    panels: ["https://a.example", "http://b.example:8080"],
    language: "de",
    layout: "fr",
    viewOnly: true,
    bar: "none",
  });
  const { credentials } = parseLink("payload=abc&password=", ORIGIN);
  assert.deepEqual(credentials, { password: "" });
});

test("what a link cannot have", () => {
  const others = ["https://evil.example/", "//evil.example", "javascript:alert(1)", "data:,x", "http://["];
  for (const again of [...others, `blob:${ORIGIN}/x`, `filesystem:${ORIGIN}/x`]) {
    assert.equal(parseLink(`again=${encodeURIComponent(again)}`, ORIGIN).again, "", again);
  }
  assert.deepEqual(parseLink("panel=*&panel=null&panel=data:,x&panel=file:///", ORIGIN).panels, []);
  for (const seconds of ["-1", "x", "1e99", "NaN"])
    assert.equal(parseLink(`session_max=${seconds}`, ORIGIN).sessionMax, 0);
});

test("only a payload alone opens more than one console", () => {
  assert.equal(lives("abc", {}), true);
  assert.equal(lives("abc", { password: "" }), false);
  assert.equal(lives("", {}), false);
});
