// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../src/channel.js";
import { askRefusal } from "../src/refusal.js";
import { HELD_MAX, hold, openSocket, release } from "../src/socket.js";
import { FakeClock, FakeSocket } from "./lib/fakes.js";

const bytes = (event: MessageEvent) => [...new Uint8Array(event.data as ArrayBuffer)];

test("messages that came early are passed first, in order", () => {
  const socket = new FakeSocket();
  const early = hold(socket.socket, "payload=abc");
  assert.equal(socket.binaryType, "arraybuffer");
  socket.receive(1);
  release(early);
  const channel = new Channel(early.socket!, early.held);
  socket.receive(2); // nobody takes it yet
  const got: number[][] = [];
  channel.onmessage = (event) => got.push(bytes(event));
  socket.receive(3);
  assert.deepEqual(got, [[1], [2], [3]]);
});

test("a handler that takes itself away gets no more", () => {
  const socket = new FakeSocket();
  const channel = new Channel(socket.socket);
  socket.receive(1);
  socket.receive(2);
  const got: number[][] = [];
  channel.onmessage = (event) => {
    got.push(bytes(event));
    channel.onmessage = null;
  };
  assert.deepEqual(got, [[1]]);
  channel.onmessage = (event) => got.push(bytes(event));
  assert.deepEqual(got, [[1], [2]]);
});

test("an early end is noted", () => {
  const socket = new FakeSocket();
  const early = hold(socket.socket);
  socket.end(1008, "Payload was used already");
  assert.equal(early.closed?.reason, "Payload was used already");
});

test("a guest that floods the page before its code is there loses the connection", () => {
  const socket = new FakeSocket();
  const early = hold(socket.socket);
  const message = { data: new ArrayBuffer(HELD_MAX / 2) };
  for (let i = 0; i < 2; i++) socket.dispatchEvent(Object.assign(new Event("message"), message));
  assert.deepEqual([early.held.length, socket.closed], [2, []]);
  for (let i = 0; i < 2; i++) socket.receive(1);
  assert.deepEqual([early.held, socket.closed], [[], [[4000]]]);
});

test("silence is counted from what passed last, either way", () => {
  const clock = new FakeClock();
  const socket = new FakeSocket();
  const channel = new Channel(socket.socket, [], clock.now);
  clock.pass(500);
  assert.equal(channel.silence, 500);
  socket.receive(1, 2);
  assert.equal(channel.silence, 0);
  assert.equal(channel.bytesReceived, 2);
  clock.pass(300);
  channel.send(new Uint8Array(1));
  clock.pass(100);
  assert.equal(channel.silence, 100);
});

test("drop() ends it for the guest at once, and for good", () => {
  const socket = new FakeSocket();
  socket.open();
  const channel = new Channel(socket.socket);
  const codes: number[] = [];
  channel.onclose = ({ code }) => codes.push(code);
  channel.onmessage = () => assert.fail("after the end");
  channel.drop(1000);
  channel.drop();
  assert.deepEqual(socket.closed, [[1000]]);
  assert.equal(channel.readyState, 3);
  socket.receive(1);
  socket.end(1006);
  channel.send(new Uint8Array(1));
  assert.deepEqual(codes, [1006]);
  assert.deepEqual(socket.sent, []);
});

test("a JWE is a subprotocol; a payload that is no token is in the query", () => {
  const Socket = FakeSocket as unknown as typeof WebSocket;
  const base = "https://panel.example.com/console/novnc.html";
  const open = (payload: string) => openSocket(payload, "ws", base, Socket) as unknown as FakeSocket;
  const jwe = open("eyJhbGciOiJkaXIifQ..bm9uY2U.c2VhbGVk.dGFn-_");
  assert.equal(String(jwe.url), "wss://panel.example.com/console/ws");
  assert.deepEqual(jwe.protocols, ["binary", "proxxy.payload.eyJhbGciOiJkaXIifQ..bm9uY2U.c2VhbGVk.dGFn-_"]);
  const old = open("a+b/c==");
  assert.equal(String(old.url), "wss://panel.example.com/console/ws?payload=a%2Bb%2Fc%3D%3D");
  assert.deepEqual(old.protocols, ["binary"]);
});

test("a browser's error about the address does not tell the payload", () => {
  class Blocked {
    constructor(url: URL) {
      throw new Error(`Refused to connect to '${url.href}'`);
    }
  }
  const open = () => openSocket("a+b/c==", "ws", "https://panel.example.com/", Blocked as unknown as typeof WebSocket);
  assert.throws(open, { message: "Refused to connect to 'wss://panel.example.com/ws" });
});

test("the question for a refusal follows no redirect with the payload", async (context) => {
  const requests: RequestInit[] = [];
  context.mock.method(globalThis, "fetch", (_: unknown, request: RequestInit) => {
    requests.push(request);
    return Promise.resolve(Response.json({ error: "Payload has expired" }));
  });
  const refusal = await askRefusal("e30..a.b.c", "ws", "https://panel.example.com/");
  assert.deepEqual(refusal, { reason: "Payload has expired", seconds: 0 });
  assert.deepEqual(requests.map(({ redirect }) => redirect), ["error"]);
});

const BUSY: [Response, string, number][] = [
  [Response.json({ error: "Too many" }, { status: 429, headers: { "Retry-After": "17" } }), "Too many", 17],
  [Response.json({ error: "All" }, { status: 503, headers: { "Retry-After": "86400" } }), "All", 60],
  [new Response("<html>", { status: 429, headers: { "Retry-After": "Fri, 31 Dec" } }), "Too many requests", 0],
  [new Response("<html>", { status: 502 }), "", 0],
];

test("a refusal says when it is worth another attempt, also that of a proxy", async (context) => {
  const answers = BUSY.map(([answer]) => answer);
  context.mock.method(globalThis, "fetch", () => Promise.resolve(answers.shift()));
  for (const [, reason, seconds] of BUSY)
    assert.deepEqual(await askRefusal("e30..a.b.c", "ws", "https://panel.example.com/"), { reason, seconds });
});

test("behind a Close nothing is sent", () => {
  const socket = new FakeSocket();
  const channel = new Channel(socket.socket);
  socket.open();
  channel.send("before");
  channel.close(1000);
  channel.send("after");
  assert.deepEqual(socket.sent, ["before"]);
});
