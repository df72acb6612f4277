// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../src/channel.js";
import { Notices } from "../src/notices.js";
import type { Notice } from "../src/view.js";
import { FakeClock, FakeSocket } from "./lib/fakes.js";

const MINUTE = 60_000;

class Stage {
  clock = new FakeClock();
  socket = new FakeSocket();
  channel = new Channel(this.socket.socket, [], this.clock.now);
  shown: Notice[] = [];
  notices = new Notices((notice) => {
    this.shown.push(notice);
    return () => (this.shown = this.shown.filter((other) => other !== notice));
  }, this.clock);

  get words(): string[] {
    return this.shown.map(({ words }) => [words.word, ...Object.values(words.values ?? {})].join(" "));
  }
}

test("the time that is left is said 5 minutes and 1 minute before the end", () => {
  const stage = new Stage();
  stage.notices.connected(stage.channel, 600);
  stage.clock.pass(5 * MINUTE - 1);
  assert.deepEqual(stage.words, []);
  stage.clock.pass(1);
  assert.deepEqual(stage.words, ["notice.time_left 5"]);
  stage.clock.pass(4 * MINUTE);
  assert.deepEqual(stage.words, ["notice.time_left 1"]);
  stage.notices.ended();
  assert.deepEqual(stage.words, []);
});

test("a session of three minutes has no 5 left; an unknown length has none", () => {
  const stage = new Stage();
  stage.notices.connected(stage.channel, 180);
  stage.clock.pass(2 * MINUTE - 1);
  assert.deepEqual(stage.words, []);
  stage.clock.pass(1);
  assert.deepEqual(stage.words, ["notice.time_left 1"]);
  stage.notices.connected(stage.channel, 0);
  stage.clock.pass(10 * MINUTE);
  assert.deepEqual(stage.words, []);
});

test("14 minutes of silence are said, until something passes", () => {
  const stage = new Stage();
  stage.notices.connected(stage.channel, 0);
  stage.clock.pass(14 * MINUTE - 1);
  assert.deepEqual(stage.words, []);
  stage.clock.pass(5001);
  assert.deepEqual(stage.words, ["notice.quiet"]);
  stage.socket.receive(1);
  stage.clock.pass(5000);
  assert.deepEqual(stage.words, []);
});

test("offline is said until it is over", () => {
  const stage = new Stage();
  stage.notices.offline(true);
  stage.notices.offline(true);
  assert.deepEqual(stage.words, ["notice.offline"]);
  stage.notices.offline(false);
  assert.deepEqual(stage.words, []);
});

test("a console of days keeps nothing of the looks that are over", () => {
  const stage = new Stage();
  const { after } = stage.clock;
  let cancelled = 0;
  stage.clock.after = (milliseconds, run) => {
    const cancel = after(milliseconds, run);
    return () => {
      cancelled++;
      cancel();
    };
  };
  stage.notices.connected(stage.channel, 0);
  stage.clock.pass(60 * MINUTE);
  stage.notices.ended();
  assert.equal(cancelled, 1);
});
