// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { afterSecond, type AutoQuality, Meter, type Second, START } from "../src/vnc/quality.js";

const after = (state: AutoQuality, second: Second, seconds: number) => {
  for (let i = 0; i < seconds; i++) state = afterSecond(state, second);
  return state;
};
const SLOW = { bytes: 50_000, busy: 10, latency: 300 };
const FAST = { bytes: 4_000_000, busy: 10, latency: 20 };
const LITTLE = { bytes: 3000, busy: 2, latency: 20 };
const NOTHING = { bytes: 0, busy: 0, latency: 20 };

test("a slow network gets a low quality, but not for one bad second", () => {
  assert.equal(after(START, SLOW, 2).level, "medium");
  assert.equal(after(START, SLOW, 3).level, "low");
  assert.equal(after(after(after(START, SLOW, 2), FAST, 1), SLOW, 2).level, "medium");
  assert.equal(after(START, SLOW, 100).level, "low");
});

test("a fast network gets a high quality", () => {
  assert.equal(after(START, FAST, 9).level, "medium");
  assert.equal(after(START, FAST, 10).level, "high");
  assert.equal(after(START, FAST, 500).level, "high");
});

test("little data does not tell that the network is slow", () => {
  assert.notEqual(after(START, LITTLE, 100).level, "low");
  assert.equal(after(START, { ...LITTLE, latency: 400 }, 100).level, "medium", "far away");
  assert.deepEqual(after(START, NOTHING, 1000), START);
});

test("each time a quality proves too much, the next try comes later", () => {
  let state = START;
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    state = after(state, SLOW, 3);
    assert.equal(state.level, "low");
    let wait = 0;
    for (; state.level === "low"; wait++) state = afterSecond(state, LITTLE);
    waits.push(wait);
  }
  assert.deepEqual(waits, [20, 40, 80, 160]);
});

test("the meter counts bytes, and the parts of the second that had some", () => {
  const meter = new Meter(1000);
  for (const now of [1001, 1050, 1150, 1999, 2050]) meter.add(now, 10);
  assert.deepEqual(meter.take(2060, 7), { bytes: 50, busy: 3, latency: 7 });
  assert.deepEqual(meter.take(3060, null), { bytes: 0, busy: 0, latency: null });
});
