// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { typeText, type TypingOptions } from "../src/typing/typist.js";

const QEMU_MS = 10; // of one event
const QEMU_EVENTS = 341; // that wait in its queue: 1024 / 3

interface Event {
  code: string;
  down: boolean;
  at: number;
}

/** Types with a clock that a wait moves on, by `late` more than it was asked for. */
async function typed(text: string, late = 0, options: TypingOptions = {}, layout = "us"): Promise<Event[]> {
  let clock = 0;
  const events: Event[] = [];
  const wait = async (milliseconds: number): Promise<void> => {
    assert.ok(milliseconds > 0);
    clock += Math.max(milliseconds, late);
  };
  const send = (_keysym: number, code: string, down: boolean): void => void events.push({ code, down, at: clock });
  await typeText(text, layout, send, { wait, now: () => clock, ...options });
  return events;
}

const names = (events: Event[]): string => events.map(({ code, down }) => (down ? "+" : "-") + code).join(" ");

function assertNothingDown(events: Event[]): void {
  const down = new Set<string>();
  for (const event of events) {
    assert.notEqual(down.has(event.code), event.down, `${event.code} changes to what it is`);
    if (event.down) down.add(event.code);
    else down.delete(event.code);
  }
  assert.deepEqual([...down], []);
}

/** Returns how many events wait in QEMU at most. */
function mostQueued(events: Event[]): number {
  let free = 0; // when QEMU has passed on what it has
  return Math.max(
    ...events.map(({ at }) => {
      free = Math.max(free, at) + QEMU_MS;
      return (free - at) / QEMU_MS;
    }),
  );
}

test("a key is pressed and released, with the keysym of its character and the code of its key", async () => {
  const sent: unknown[][] = [];
  await typeText("z", "de", (...event) => sent.push(event));
  assert.deepEqual(sent, [
    [0x7a, "KeyY", true],
    [0x7a, "KeyY", false],
  ]);
});

test("Shift stays down for a run of shifted characters, and is up for a space", async () => {
  assert.equal(
    names(await typed("AB c")),
    "+ShiftLeft +KeyA -KeyA +KeyB -KeyB -ShiftLeft +Space -Space +KeyC -KeyC",
  );
});

test("AltGr and Shift are never down together where one follows the other", async () => {
  assert.equal(
    names(await typed("@A{", 0, {}, "de")),
    "+AltRight +KeyQ -KeyQ -AltRight +ShiftLeft +KeyA -KeyA -ShiftLeft +AltRight +Digit7 -Digit7 -AltRight",
  );
});

test("every end of line is one Enter, and a tab is Tab", async () => {
  assert.equal(names(await typed("\r\n\n\r\t")), "+Enter -Enter ".repeat(3) + "+Tab -Tab");
});

test("a dead key comes before its letter", async () => {
  assert.equal(names(await typed("ê", 0, {}, "de")), "+Backquote -Backquote +KeyE -KeyE");
  assert.equal(names(await typed("e\u0302^", 0, {}, "de")).split(" ").length, 8);
});

test("what cannot be typed is left out", async () => {
  assert.equal(names(await typed("a☃b")), "+KeyA -KeyA +KeyB -KeyB");
});

test("no more events than QEMU takes, in any time", async () => {
  const events = await typed("aB".repeat(1000));
  assertNothingDown(events);
  assert.ok(mostQueued(events) <= 1, `${mostQueued(events)} wait`);
});

for (const late of [4, 50, 300, 1000, 60_000]) {
  test(`timers that come after ${late} ms: few events at once`, async () => {
    const events = await typed("aB".repeat(1000), late);
    assertNothingDown(events);
    assert.ok(mostQueued(events) <= 64, `${mostQueued(events)} wait`);
    if (late > 50) return;
    const pace = events.at(-1)!.at / (events.length - 1);
    assert.ok(pace >= 14.9 && pace < 15.2, `an event each ${pace} ms`);
  });
}

test("a network that delivers all at once fills no queue", async () => {
  let sent = 0;
  let stalled = true;
  const waiting: (() => void)[] = [];
  const arrived = (): Promise<void> => (stalled ? new Promise((done) => waiting.push(done)) : Promise.resolve());
  const options = { arrived, wait: async () => {}, now: () => sent * 15 };
  const typing = typeText("aB".repeat(300), "us", () => sent++, options);
  await new Promise((done) => setTimeout(done, 5));
  assert.ok(sent >= 64 && sent < QEMU_EVENTS / 2, `${sent} events on their way`);
  assert.equal(waiting.length, 1);
  stalled = false;
  for (const done of waiting) done();
  await typing;
  assert.equal(sent, 2 * 600 + 2 * 300);
});

test("an answer that will not come stops the typing", async () => {
  const arrived = (): Promise<void> => Promise.reject(new Error("gone"));
  await assert.rejects(typed("a".repeat(200), 0, { arrived }), /gone/);
});

for (const after of [1, 2, 3, 40, 41, 42, 43]) {
  test(`a signal after ${after} events: nothing stays down, and nothing follows`, async () => {
    const stop = new AbortController();
    const events: Event[] = [];
    const send = (_keysym: number, code: string, down: boolean): void => {
      events.push({ code, down, at: 0 });
      if (events.length === after) stop.abort();
    };
    const wait = (): Promise<void> => new Promise((done) => setTimeout(done, 0));
    const typing = typeText("ABab{}€".repeat(20), "de", send, { signal: stop.signal, wait });
    await assert.rejects(typing, { name: "AbortError" });
    assertNothingDown(events);
    assert.ok(events.length <= after + 2);
  });
}

test("a signal ends a long wait, and the wait for an answer", async () => {
  const never = (): Promise<void> => new Promise(() => {});
  for (const options of [{ wait: never }, { arrived: never }]) {
    const stop = new AbortController();
    const typing = typed("a".repeat(200), 0, { ...options, signal: stop.signal });
    setTimeout(() => stop.abort(), 5);
    await assert.rejects(typing, { name: "AbortError" });
  }
});

test("a signal that came before types nothing", async () => {
  let sent = 0;
  const typing = typeText("a", "us", () => sent++, { signal: AbortSignal.abort() });
  await assert.rejects(typing, { name: "AbortError" });
  assert.equal(sent, 0);
});

test("progress counts characters as they are typed", async () => {
  const seen: number[][] = [];
  await typed("a\r\n☃😀", 0, { progress: (done, all) => seen.push([done, all]) });
  assert.deepEqual(seen, [
    [1, 4],
    [2, 4],
    [3, 4],
    [4, 4],
  ]);
});

test("Caps Lock is off for the text, and on again at the end", async () => {
  const around = "+CapsLock -CapsLock ";
  assert.equal(names(await typed("a", 0, { capsLock: true })), `${around}+KeyA -KeyA ${around}`.trim());
});

for (const after of [1, 2, 3]) {
  test(`Caps Lock is as it was after a signal at event ${after}`, async () => {
    const stop = new AbortController();
    const events: Event[] = [];
    const send = (_keysym: number, code: string, down: boolean): void => {
      events.push({ code, down, at: 0 });
      if (events.length === after) stop.abort();
    };
    const typing = typeText("abc", "us", send, { capsLock: true, signal: stop.signal, wait: async () => {} });
    await assert.rejects(typing, { name: "AbortError" });
    assertNothingDown(events);
    assert.equal(events.filter(({ code, down }) => code === "CapsLock" && down).length, 2);
  });
}

test("an unknown layout is an error before anything is typed", async () => {
  await assert.rejects(typed("a", 0, {}, "xx"), RangeError);
});
