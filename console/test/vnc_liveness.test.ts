// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Liveness, TICK } from "../src/vnc/liveness.js";

/** Ticks to the time; answers each question after the delay, or never. Returns what happened when. */
function run(liveness: Liveness, from: number, to: number, delay = Infinity): [number, string][] {
  const happened: [number, string][] = [];
  let received = from;
  let answer = Infinity;
  for (let now = from + TICK; now <= to; now += TICK) {
    if (answer <= now) [received, answer] = [answer, Infinity];
    const verdict = liveness.tick(now, received);
    if (verdict) happened.push([now, verdict]);
    if (verdict === "lost") break;
    if (verdict) answer = now + delay;
  }
  return happened;
}

test("a silent server is asked, and is lost within 10 seconds", () => {
  const liveness = new Liveness(0);
  const happened = run(liveness, 0, 60_000);
  const [[asked] = [0], [lost, verdict] = [0]] = happened;
  assert.equal(verdict, "lost");
  assert.ok(asked <= 3000 && lost - asked >= 5000 && lost < 10_000, JSON.stringify(happened));
});

test("a server that answers is never lost, and not measured more than each 5 seconds", () => {
  const happened = run(new Liveness(0), 0, 110_000, 40);
  assert.ok(!happened.some(([, verdict]) => verdict === "lost"));
  const measured = happened.filter(([, verdict]) => verdict === "measure").map(([now]) => now);
  assert.ok(measured.length > 10);
  measured.slice(1).forEach((now, i) => assert.ok(now - measured[i]! >= 5000));
});

test("a network with a delay of 2 seconds, and one of 6", () => {
  assert.ok(!run(new Liveness(0), 0, 110_000, 2000).some(([, verdict]) => verdict === "lost"));
  const liveness = new Liveness(0);
  liveness.latency = 6000;
  const happened = run(liveness, 0, 110_000, 6000);
  assert.ok(!happened.some(([, verdict]) => verdict === "lost"), "patience grows with the latency");
});

test("an idle user's server is not asked", () => {
  const liveness = new Liveness(0);
  run(liveness, 0, 120_000, 10);
  assert.deepEqual(run(liveness, 121_000, 1_000_000), []);
  liveness.active(1_000_000);
  assert.match(run(liveness, 1_000_000, 1_020_000).join(), /lost/);
});

test("data under way does not count for the latency", () => {
  const liveness = new Liveness(0);
  for (let now = TICK; now < 20_000; now += TICK) assert.equal(liveness.tick(now, now - 50), null);
  assert.equal(liveness.tick(20_000, 19_800), "measure");
});

test("after the computer slept, the server gets its time again", () => {
  const liveness = new Liveness(0);
  assert.equal(liveness.tick(500, 0), "measure");
  liveness.active(60_000);
  assert.equal(liveness.tick(60_000, 0), null);
  const [[asked, verdict] = [0, ""]] = run(liveness, 60_000, 66_000);
  assert.ok(verdict !== "lost" && asked > 60_000);
});
