// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";

import { pieces, typeInPieces, type Typist } from "../src/terminal/pace.js";

/** A guest that shows what it gets, some bytes each millisecond. */
class SlowGuest implements Typist {
  time = 0;
  sent: string[] = [];
  waiting = 0;
  mostWaiting = 0;
  shown = 0;
  last = 0;
  open = true;

  constructor(
    readonly bytesPerMillisecond: number,
    readonly echo = true,
  ) {}

  now = (): number => this.time;
  buffered = (): number => 0;
  received = (): number => this.shown;
  lastReceived = (): number => this.last;

  send(text: string): number {
    if (!this.open) return 0;
    const { length } = new TextEncoder().encode(text);
    this.sent.push(text);
    this.waiting += length;
    this.mostWaiting = Math.max(this.mostWaiting, this.waiting);
    return length;
  }

  async pause(milliseconds: number): Promise<void> {
    this.time += milliseconds;
    const taken = Math.min(this.waiting, Math.floor(milliseconds * this.bytesPerMillisecond));
    this.waiting -= taken;
    if (taken === 0 || !this.echo) return;
    this.shown += taken;
    this.last = this.time;
  }
}

const LONG = "0123456789".repeat(500);

test("a slow line is never ahead by more than a piece", async () => {
  const guest = new SlowGuest(1); // 9600 baud
  await typeInPieces(LONG, guest);
  assert.equal(guest.sent.join(""), LONG);
  assert.ok(guest.mostWaiting <= 256, `${guest.mostWaiting} bytes waited`);
});

test("a guest that shows nothing gets all of it", async () => {
  const guest = new SlowGuest(100, false);
  await typeInPieces(LONG, guest);
  assert.equal(guest.sent.join(""), LONG);
  assert.ok(guest.time >= 200 * (guest.sent.length - 1));
});

test("each line is a piece, and its end is the Enter key", async () => {
  const guest = new SlowGuest(100);
  await typeInPieces("root\r\nsecret\n\nls", guest);
  assert.deepEqual(guest.sent, ["root\r", "secret\r", "\r", "ls"]);
});

test("no character is cut", () => {
  const text = "😀".repeat(300);
  assert.equal(pieces(text).join(""), text);
  assert.ok(pieces(text).every((piece) => !piece.includes("\ufffd") && [...piece].every((each) => each === "😀")));
});

test("progress in characters", async () => {
  const seen: [number, number][] = [];
  await typeInPieces("é\n😀", new SlowGuest(100), { progress: (done, all) => seen.push([done, all]) });
  assert.deepEqual(seen, [
    [0, 3],
    [2, 3],
    [3, 3],
  ]);
});

test("it can be stopped", async () => {
  const guest = new SlowGuest(1);
  const stop = new AbortController();
  const progress = (done: number): void => {
    if (done >= 512) stop.abort();
  };
  await assert.rejects(typeInPieces(LONG, guest, { progress, signal: stop.signal }), { name: "AbortError" });
  assert.equal(guest.sent.join("").length, 512);
});

test("the end of the connection stops it", async () => {
  const guest = new SlowGuest(1);
  const progress = (done: number): void => {
    guest.open = done < 512;
  };
  await assert.rejects(typeInPieces(LONG, guest, { progress }), { name: "AbortError" });
});
