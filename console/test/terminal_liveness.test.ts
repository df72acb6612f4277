// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";

import { Liveness, probeAddress, TICK_MS } from "../src/terminal/liveness.js";

class Network {
  time = 1_000_000;
  received = this.time;
  probes: number[] = [];
  latencies: number[] = [];
  lost = 0;
  /** How long an answer takes; Infinity: it fails after the timeout. */
  delay = 40;
  #pending: { until: number; end(): void }[] = [];
  liveness = new Liveness({
    now: () => this.time,
    lastReceived: () => this.received,
    probe: () => {
      this.probes.push(this.time);
      const fails = this.delay === Infinity;
      const until = this.time + (fails ? 4000 : this.delay);
      return new Promise<void>((resolve, reject) => {
        this.#pending.push({ until, end: () => (fails ? reject(new Error("no answer")) : resolve()) });
      });
    },
    latency: (milliseconds) => this.latencies.push(milliseconds),
    lost: () => this.lost++,
  });

  async pass(milliseconds: number, each: () => void = () => {}): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += TICK_MS) {
      this.time += TICK_MS;
      await this.settle();
      each();
      this.liveness.tick();
    }
  }

  async settle(): Promise<void> {
    const due = this.#pending.filter(({ until }) => until <= this.time);
    this.#pending = this.#pending.filter(({ until }) => until > this.time);
    due.forEach(({ end }) => end());
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }

  receive = (): void => {
    this.received = this.time;
  };
}

test("it measures at once, and seldom while data comes", async () => {
  const network = new Network();
  await network.pass(31_000, network.receive);
  assert.equal(network.probes.length, 3);
  assert.deepEqual(network.latencies.slice(0, 1), [TICK_MS]);
  assert.equal(network.lost, 0);
});

test("a network that dies is noticed within 10 seconds", async () => {
  for (const dies of [500, 1000, 2500, 4000, 5500, 7000, 14_500]) {
    const network = new Network();
    await network.pass(dies, network.receive);
    network.delay = Infinity;
    await network.pass(10_000);
    assert.equal(network.lost, 1, `after ${dies} ms`);
  }
});

test("input without an answer is noticed sooner", async () => {
  const network = new Network();
  await network.pass(6000, network.receive);
  network.delay = Infinity;
  network.liveness.touch();
  network.liveness.sent();
  await network.pass(3000 + 4000 + TICK_MS);
  assert.equal(network.lost, 1);
});

test("a silent guest on a good network is not lost", async () => {
  const network = new Network();
  await network.pass(60_000, () => network.liveness.sent());
  assert.equal(network.lost, 0);
  assert.ok(network.probes.length >= 11 && network.probes.length <= 13);
});

test("nothing is asked for a user who is idle", async () => {
  const network = new Network();
  await network.pass(125_000);
  const asked = network.probes.length;
  network.delay = Infinity;
  await network.pass(600_000);
  assert.equal(network.probes.length, asked);
  assert.equal(network.lost, 0);
  network.liveness.touch();
  await network.pass(5000);
  assert.equal(network.lost, 1);
});

test("a browser that blocks the request says nothing about the network", async () => {
  const network = new Network();
  network.delay = Infinity;
  await network.pass(60_000);
  assert.equal(network.lost, 0);
});

test("data that comes while a request fails shows that the network lives", async () => {
  const network = new Network();
  await network.pass(1000);
  network.delay = Infinity;
  await network.pass(60_000, () => network.time % 3000 === 0 && network.receive());
  assert.equal(network.lost, 0);
});

test("a request that was stopped with the computer says nothing", async () => {
  const network = new Network();
  await network.pass(1000);
  network.delay = Infinity;
  await network.pass(5000);
  network.time += 3_600_000;
  network.delay = 40;
  await network.settle();
  network.liveness.touch();
  await network.pass(10_000);
  assert.equal(network.lost, 0);
});

test("after the end nothing is said", async () => {
  const network = new Network();
  await network.pass(1000);
  network.delay = Infinity;
  await network.pass(5000);
  network.liveness.end();
  await network.pass(10_000);
  assert.equal(network.lost, 0);
});

test("what is asked for is beside proxxy's address, and without its query", () => {
  const address = (websocket: string) => probeAddress(websocket).href;
  assert.equal(address("wss://panel.example/console/ws?payload=x"), "https://panel.example/console/favicon.svg");
  assert.equal(address("ws://127.0.0.1:8080/ws"), "http://127.0.0.1:8080/favicon.svg");
});
