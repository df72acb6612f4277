// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Answers, countAnswers } from "../src/vnc/answers.js";
import { Channel } from "../src/channel.js";
import { Wire } from "../src/vnc/wire.js";
import { FakeSocket } from "./lib/fakes.js";

const SCREEN_SIZE = [0, 0, 0, 1, 0, 0, 0, 0, 4, 0, 3, 0, 0xff, 0xff, 0xfe, 0xcc];
const data = (...bytes: number[]) => Uint8Array.from(bytes).buffer;

test("answers are counted", () => {
  assert.equal(countAnswers(data()), 0);
  assert.equal(countAnswers(data(0xff, 0xff, 0xfe)), 0);
  assert.equal(countAnswers(data(0xff, ...SCREEN_SIZE, ...SCREEN_SIZE, 7)), 2);
});

async function settled(promises: Promise<void>[]): Promise<boolean[]> {
  const done = promises.map(() => false);
  promises.forEach((promise, i) => promise.then(() => (done[i] = true)));
  await new Promise((next) => setTimeout(next));
  return done;
}

test("each answer is that of one question, in order", async () => {
  let asked = 0;
  const answers = new Answers({ askForPixel: () => void asked++ });
  const questions = [answers.ask(), answers.ask()];
  assert.equal(asked, 2);
  answers.received(data(1, 2, 3), true);
  assert.deepEqual(await settled(questions), [false, false]);
  answers.received(data(...SCREEN_SIZE), true);
  assert.deepEqual(await settled(questions), [true, false]);
  answers.received(data(...SCREEN_SIZE), true);
  assert.deepEqual(await settled(questions), [true, true]);
});

test("questions that arrived together have one answer", async () => {
  const answers = new Answers({ askForPixel: () => {} });
  const done: number[] = [];
  for (const number of [1, 2, 3]) void answers.ask().then(() => done.push(number));
  answers.received(data(...SCREEN_SIZE), true);
  await Promise.resolve();
  assert.deepEqual(done, [1]);
  await new Promise((next) => setTimeout(next, 1050));
  assert.deepEqual(done, [1, 2, 3]);
});

test("a server without the mark: whatever comes is the answer", async () => {
  const answers = new Answers({ askForPixel: () => {} });
  const questions = [answers.ask(), answers.ask()];
  answers.received(data(0), false);
  assert.deepEqual(await settled(questions), [true, true]);
});

test("the wire holds the messages until noVNC is there, and passes none after its end", () => {
  const socket = new FakeSocket();
  const wire = new Wire(new Channel(socket.socket), () => {});
  const got: number[] = [];
  wire.onmessage = (event) => got.push(...new Uint8Array(event.data as ArrayBuffer));
  socket.receive(1);
  assert.deepEqual(got, []);
  let told = 0;
  wire.start(() => void told++);
  socket.receive(2);
  assert.deepEqual(got, [1, 2]);
  assert.equal(told, 2);
  wire.cut();
  socket.receive(3);
  wire.send(Uint8Array.of(4));
  assert.deepEqual(got, [1, 2]);
  assert.deepEqual(socket.sent, []);
});
