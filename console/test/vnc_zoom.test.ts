// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { baseScale, fingers, zoomed } from "../src/vnc/zoom.js";

const PHONE = { width: 400, height: 800 };
const GUEST = { width: 1024, height: 768 };

test("the picture fits, or is shown as it is", () => {
  assert.equal(baseScale("fit", PHONE, GUEST), 400 / 1024);
  assert.equal(baseScale("remote", PHONE, GUEST), 400 / 1024, "until the guest has the window's size");
  assert.equal(baseScale("actual", PHONE, GUEST), 1);
  assert.equal(baseScale("fit", PHONE, { width: 0, height: 0 }), 1, "no picture yet");
});

test("a zoom is between the picture's own scale and one in which pixels are easy to see", () => {
  assert.equal(zoomed(2, 0.4), 2);
  assert.equal(zoomed(20, 0.4), 8);
  assert.equal(zoomed(0.1, 0.4), null);
  assert.equal(zoomed(0.41, 0.4), null, "nearly the same");
  assert.equal(zoomed(1.5, 1), 1.5);
});

test("the first two fingers count", () => {
  assert.equal(fingers([]), null);
  assert.deepEqual(fingers([{ x: 10, y: 20 }]), { count: 1, x: 10, y: 20, distance: 1 });
  const three = [
    { x: 0, y: 0 },
    { x: 30, y: 40 },
    { x: 500, y: 0 },
  ];
  assert.deepEqual(fingers(three), { count: 3, x: 15, y: 20, distance: 50 });
});
