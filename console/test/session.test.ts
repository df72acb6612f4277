// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel } from "../src/channel.js";
import type { Events } from "../src/guest.js";
import type { Refusal } from "../src/refusal.js";
import { Session, type End, type Hooks } from "../src/session.js";
import type { Choice, Message, State } from "../src/view.js";
import { FakeClock, FakeSocket, settle } from "./lib/fakes.js";

const STEADY_MS = 30_000;

/** A session whose parts note what it does. */
class Stage {
  sockets: FakeSocket[] = [];
  channels: Channel[] = [];
  events: Events[] = [];
  states: State[] = [];
  message: Message | null = null;
  pauses: number[] = [];
  connected: boolean[] = [];
  ends: End[] = [];
  heard: string[] = [];
  refusal: Refusal = { reason: "", seconds: 0 };
  random = 1;
  offers: Choice[] = ["panel"];
  clock = new FakeClock();
  session: Session;

  constructor(live = true) {
    const hooks: Hooks = {
      state: (state) => this.states.push(state),
      message: (message) => (this.message = message),
      connected: (again) => this.connected.push(again),
      reconnecting: (_code, _reason, milliseconds) => this.pauses.push(milliseconds),
      closed: (end) => this.ends.push(end),
      latency: () => {},
      clipboard: (text) => this.heard.push(text),
      bell: () => {},
      changed: () => {},
      title: () => {},
    };
    const guest = {
      open: (channel: Channel, events: Events) => {
        this.channels.push(channel);
        this.events.push(events);
      },
    };
    const parts = {
      guest,
      hooks,
      open: () => this.#open(),
      refusal: () => Promise.resolve(this.refusal),
      offers: () => this.offers,
      clock: this.clock,
      random: () => this.random,
    };
    this.session = new Session(parts, live);
    this.session.open();
  }

  #open() {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return { socket: socket.socket, held: [], closed: null };
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  get words(): string[] {
    return this.message?.sentence.map(({ word }) => word) ?? [];
  }

  get choices(): Choice[] {
    return this.message?.choices ?? [];
  }

  /** The guest answers. */
  answer(): void {
    this.socket.open();
    this.events.at(-1)!.connected();
  }

  async end(code: number, reason = ""): Promise<void> {
    this.socket.end(code, reason);
    await settle();
  }
}

test("a console connects, once", () => {
  const stage = new Stage();
  assert.deepEqual(stage.states, ["connecting"]);
  stage.answer();
  stage.events[0]!.connected();
  assert.deepEqual(stage.states, ["connecting", "connected"]);
  assert.deepEqual(stage.connected, [false]);
  assert.equal(stage.message, null);
});

test("pauses grow to 30 s, and are short again after a connection that was steady", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1006);
  for (let i = 0; i < 6; i++) {
    stage.clock.pass(stage.pauses.at(-1)!);
    assert.equal(stage.sockets.length, i + 2);
    await stage.end(1006);
  }
  assert.deepEqual(stage.pauses, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  stage.clock.pass(30_000);
  stage.answer();
  assert.deepEqual(stage.connected, [false, true]);
  await stage.end(1006);
  assert.equal(stage.pauses.at(-1), 30_000);
  stage.clock.pass(30_000);
  stage.answer();
  stage.clock.pass(STEADY_MS);
  await stage.end(1006);
  assert.equal(stage.pauses.at(-1), 1000);
});

test("each pause is shorter by a random part of up to a half", async () => {
  const stage = new Stage();
  stage.random = 0;
  stage.answer();
  await stage.end(1006);
  assert.deepEqual(stage.pauses, [500]);
});

test("the seconds are counted, with Try now and Stop; Try now is disabled while it connects", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1011, "Proxmox: connection lost");
  assert.equal(stage.states.at(-1), "reconnecting");
  assert.deepEqual(stage.message, {
    sentence: [{ word: "lost.reconnecting_in", values: { seconds: 1 } }],
    choices: ["now", "stop"],
    disabled: [],
    details: "1011 Proxmox: connection lost",
  });
  stage.clock.pass(1000);
  assert.deepEqual(stage.words, ["lost.reconnecting"]);
  assert.deepEqual(stage.message?.disabled, ["now"]);
});

test("now() ends the pause; in no pause it does nothing", async () => {
  const stage = new Stage();
  stage.session.now();
  assert.equal(stage.sockets.length, 1);
  stage.answer();
  await stage.end(1001);
  stage.session.now();
  assert.equal(stage.sockets.length, 2);
  stage.session.now();
  stage.clock.pass(29_999);
  assert.equal(stage.sockets.length, 2);
});

test("stop() reconnects no more, until it is opened again", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1006);
  stage.session.stop();
  assert.deepEqual(stage.ends, [{ code: 1006, reason: "", live: true }]);
  assert.deepEqual(stage.words, ["end.lost"]);
  assert.deepEqual(stage.choices, ["again", "panel"]);
  stage.clock.pass(60_000);
  assert.equal(stage.sockets.length, 1);
  assert.equal(stage.session.open(), true);
  assert.equal(stage.message, null);
  assert.equal(stage.states.at(-1), "connecting");
});

test("an attempt to reconnect has 30 s, and what comes of it later is dropped", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1006);
  stage.clock.pass(1000);
  const late = stage.socket;
  stage.clock.pass(30_000);
  assert.equal(late.closed.length, 1);
  assert.deepEqual(stage.pauses, [1000, 2000]);
  stage.events[1]!.connected();
  late.end(1006);
  await settle();
  assert.equal(stage.states.at(-1), "reconnecting");
  assert.equal(stage.pauses.length, 2);
});

test("a first connection that fails is not tried again by itself", async () => {
  const stage = new Stage();
  await stage.end(1006);
  assert.deepEqual(stage.words, ["end.unreachable"]);
  assert.deepEqual(stage.choices, ["again", "panel"]);
  assert.deepEqual(stage.pauses, []);
});

test("a link that was refused opens nothing again", async () => {
  const stage = new Stage();
  await stage.end(1008, "Payload was used already");
  assert.deepEqual(stage.words, ["end.link_used"]);
  assert.deepEqual(stage.choices, ["panel"]);
  assert.deepEqual(stage.ends, [{ code: 1008, reason: "Payload was used already", live: false }]);
  assert.equal(stage.session.open(), false);
  assert.equal(stage.sockets.length, 1);
});

test("without a WebSocket, the HTTP answer says why", async () => {
  const stage = new Stage();
  stage.refusal.reason = "Client address is not allowed";
  await stage.end(1006);
  assert.deepEqual(stage.words, ["end.link_other_client"]);
  assert.deepEqual(stage.choices, ["panel"]);
});

const BUSY = "Too many consoles are open from this address";

test("after a limit, the user can try again when proxxy says so, also with a console's ticket", async () => {
  for (const live of [true, false]) {
    const stage = new Stage(live);
    stage.refusal = { reason: BUSY, seconds: 10 };
    await stage.end(1006);
    assert.deepEqual(stage.message, {
      sentence: [{ word: "end.limit_client" }, { word: "end.again_in", values: { seconds: 10 } }],
      choices: ["again", "panel"],
      disabled: ["again"],
      details: `1006 ${BUSY}`,
    });
    assert.deepEqual(stage.ends, [{ code: 1006, reason: BUSY, live: true }]);
    stage.clock.pass(9_500);
    assert.deepEqual(stage.message?.sentence[1]?.values, { seconds: 1 });
    stage.clock.pass(600);
    assert.deepEqual(stage.words, ["end.limit_client"]);
    assert.deepEqual(stage.choices, ["again", "panel"]);
    assert.equal(stage.message?.disabled, undefined);
    stage.clock.pass(60_000);
    assert.equal(stage.sockets.length, 1); // not by itself
    assert.equal(stage.session.open(), true);
    stage.answer();
    assert.deepEqual(stage.ends.length, 1);
    await stage.end(1006);
    assert.equal(stage.session.open(), live); // this time the link was used
  }
});

test("a limit in a Close, and a wait that ends with the session", async () => {
  const stage = new Stage();
  await stage.end(1013, "Too many consoles of this guest are open");
  assert.deepEqual(stage.words, ["end.limit_guest"]);
  assert.deepEqual(stage.choices, ["again", "panel"]);
  stage.session.open();
  stage.refusal = { reason: BUSY, seconds: 10 };
  await stage.end(1006);
  stage.session.open();
  stage.clock.pass(20_000);
  assert.equal(stage.message, null);
});

test("a limit while it reconnects does not end that: the lost connection may count for a while", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1006);
  stage.clock.pass(1000);
  stage.refusal = { reason: BUSY, seconds: 10 };
  await stage.end(1006);
  assert.deepEqual(stage.pauses, [1000, 10_000]);
  stage.clock.pass(10_000);
  await stage.end(1013, "Too many consoles of this guest are open");
  assert.deepEqual(stage.pauses, [1000, 10_000, 4000]);
  stage.clock.pass(4000);
  stage.answer();
  assert.deepEqual(stage.connected, [false, true]);
});

test("a refusal while it reconnects ends that, and says that the connection was lost", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1006);
  stage.clock.pass(1000);
  await stage.end(1008, "Payload has expired: exp was 61 s ago");
  assert.deepEqual(stage.words, ["end.lost", "end.link_old"]);
  assert.equal(stage.states.at(-1), "ended");
});

test("a link with a console's ticket is not used again", async () => {
  const stage = new Stage(false);
  stage.answer();
  await stage.end(1006);
  assert.deepEqual(stage.words, ["end.lost"]);
  assert.deepEqual(stage.choices, ["panel"]);
  assert.deepEqual(stage.pauses, []);
  assert.equal(stage.session.open(), false);
});

test("a console that was closed does not reconnect", async () => {
  const stage = new Stage();
  stage.answer();
  await stage.end(1000, "Console closed");
  assert.deepEqual(stage.words, ["end.closed"]);
  assert.deepEqual(stage.choices, ["again", "panel"]);
});

test("after 15 minutes of silence, that is said", async () => {
  const stage = new Stage();
  stage.answer();
  stage.clock.pass(15 * 60_000);
  await stage.end(1000);
  assert.deepEqual(stage.words, ["end.quiet"]);
});

test("bytes that pass are no silence", async () => {
  const stage = new Stage();
  stage.answer();
  stage.clock.pass(10 * 60_000);
  stage.socket.receive(1);
  stage.clock.pass(6 * 60_000);
  await stage.end(1000);
  assert.deepEqual(stage.words, ["end.lost"]);
});

test("what the guest finds wrong is the reason", async () => {
  const stage = new Stage(false);
  stage.socket.open();
  stage.events[0]!.fail("VNC: the password was refused");
  assert.deepEqual(stage.socket.closed, [[4000]]);
  await stage.end(4000);
  assert.deepEqual(stage.ends, [{ code: 4000, reason: "VNC: the password was refused", live: false }]);
  assert.deepEqual(stage.words, ["end.password"]);
});

test("a guest that finds the connection dead has another one, and hears of its end at once", async () => {
  const stage = new Stage();
  stage.answer();
  let heard = 0;
  stage.channels[0]!.onclose = ({ code }) => (heard = code);
  stage.events[0]!.lost();
  assert.equal(heard, 1006);
  assert.equal(stage.states.at(-1), "reconnecting");
  stage.events[0]!.clipboard("late");
  assert.deepEqual(stage.heard, []);
});

test("close() ends it as the user's own wish", async () => {
  const stage = new Stage();
  stage.answer();
  stage.session.close();
  assert.deepEqual(stage.socket.closed, [[1000]]);
  assert.deepEqual(stage.words, ["end.closed"]);
  stage.session.close();
  await stage.end(1000);
  assert.equal(stage.ends.length, 1);
});

test("end() says nothing", async () => {
  const stage = new Stage();
  stage.answer();
  stage.session.end();
  await stage.end(1000);
  assert.deepEqual(stage.ends, []);
  assert.equal(stage.states.at(-1), "connected");
});

test("a socket that ended before the page was there is an end as any other", async () => {
  const closed = Object.assign(new Event("close"), { code: 1008, reason: "Payload was withdrawn" }) as CloseEvent;
  const stage = new Stage();
  const ends: End[] = [];
  const parts = {
    guest: { open: () => assert.fail("nothing to show") },
    hooks: { ...silent(), closed: (end: End) => ends.push(end) },
    open: () => ({ socket: stage.socket.socket, held: [], closed }),
    refusal: () => Promise.resolve({ reason: "", seconds: 0 }),
    offers: () => [],
    clock: stage.clock,
  };
  new Session(parts, true).open();
  await settle();
  assert.deepEqual(ends, [{ code: 1008, reason: "Payload was withdrawn", live: false }]);
});

function silent(): Hooks {
  const nothing = () => {};
  return {
    state: nothing,
    message: nothing,
    connected: nothing,
    reconnecting: nothing,
    closed: nothing,
    latency: nothing,
    clipboard: nothing,
    bell: nothing,
    changed: nothing,
    title: nothing,
  };
}
