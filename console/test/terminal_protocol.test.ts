// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";

import { Termproxy } from "../src/terminal/protocol.js";

function connection(login: string) {
  const sent: string[] = [];
  const told: string[] = [];
  const termproxy = new Termproxy(login, (data) => sent.push(new TextDecoder().decode(data)), {
    answers: () => told.push("answers"),
    output: (shown) => told.push(shown),
    refused: () => told.push("refused"),
  });
  return { termproxy, sent, told };
}

function bytes(...codes: number[]): ArrayBuffer {
  return new Uint8Array(codes).buffer;
}

function text(characters: string): ArrayBuffer {
  return new TextEncoder().encode(characters).buffer as ArrayBuffer;
}

test("the client speaks first, and its size follows the greeting", () => {
  const { termproxy, sent, told } = connection("me@pam:TICKET\n");
  termproxy.resize(80, 24);
  assert.deepEqual(sent, []);
  termproxy.start();
  assert.deepEqual(sent, ["me@pam:TICKET\n"]);
  termproxy.receive(text("OK"));
  assert.deepEqual(sent.slice(1), ["1:80:24:"]);
  assert.deepEqual(told, ["answers"]);
});

test("a greeting that is cut, and output behind it", () => {
  const { termproxy, told } = connection("me@pam:TICKET\n");
  termproxy.start();
  termproxy.receive(text("O"));
  assert.deepEqual(told, []);
  termproxy.receive(text("K$ "));
  assert.deepEqual(told, ["answers", "$ "]);
});

test("a refusal", () => {
  const { termproxy, told } = connection("me@pam:TICKET\n");
  termproxy.start();
  termproxy.receive(text("NO"));
  assert.deepEqual(told, ["refused"]);
  assert.equal(termproxy.answering, false);
});

test("without a login, all that comes is the terminal's", () => {
  const { termproxy, sent, told } = connection("");
  termproxy.resize(80, 24);
  termproxy.start();
  assert.deepEqual(sent, ["1:80:24:"]);
  termproxy.receive(text("OK, this is a prompt"));
  assert.deepEqual(told, ["answers", "OK, this is a prompt"]);
});

test("a character that is cut between two messages", () => {
  const { termproxy, told } = connection("");
  termproxy.start();
  termproxy.receive(bytes(0x61, 0xe2, 0x82));
  termproxy.receive(bytes(0xac));
  assert.deepEqual(told, ["answers", "a", "€"]);
});

test("the length of input is in bytes", () => {
  const { termproxy, sent } = connection("");
  termproxy.start();
  termproxy.receive(text("$"));
  assert.equal(termproxy.input("é€"), 5);
  assert.deepEqual(sent, ["0:5:é€"]);
});

test("input before the first answer and after the end is not sent", () => {
  const { termproxy, sent } = connection("");
  termproxy.start();
  assert.equal(termproxy.input("early"), 0);
  termproxy.receive(text("$"));
  termproxy.end();
  assert.equal(termproxy.input("late"), 0);
  termproxy.resize(1, 1);
  termproxy.keepAlive();
  assert.deepEqual(sent, []);
});

test("it keeps the connection alive as soon as there is a login", () => {
  const { termproxy, sent } = connection("me@pam:TICKET\n");
  termproxy.start();
  termproxy.keepAlive();
  assert.deepEqual(sent, ["me@pam:TICKET\n"]);
  termproxy.receive(text("OK"));
  termproxy.keepAlive();
  assert.deepEqual(sent.slice(1), ["2"]);
});
