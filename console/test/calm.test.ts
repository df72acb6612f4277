// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Calm } from "../src/calm.js";
import { FakeClock } from "./lib/fakes.js";

test("the first value passes at once, then the last one of each while", () => {
  const clock = new FakeClock();
  const passed: number[] = [];
  const calm = new Calm<number>(250, (value) => passed.push(value), clock);
  for (let i = 0; i < 1000; i++) calm.tell(i);
  assert.deepEqual(passed, [0]);
  clock.pass(250);
  assert.deepEqual(passed, [0, 999]);
  calm.tell(1000);
  assert.deepEqual(passed, [0, 999]);
  clock.pass(1000);
  calm.tell(1001);
  assert.deepEqual(passed, [0, 999, 1000, 1001]);
});

test("what waits at the end is not passed", () => {
  const clock = new FakeClock();
  const passed: number[] = [];
  const calm = new Calm<number>(250, (value) => passed.push(value), clock);
  calm.tell(1);
  calm.tell(2);
  calm.forget();
  clock.pass(1000);
  calm.tell(3);
  assert.deepEqual(passed, [1, 3]);
});
