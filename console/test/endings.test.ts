// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import english from "../languages/en.json";
import { BROKEN, busy, ending, NO_LINK, passing, refused, type Close } from "../src/endings.js";

const close = (code: number, reason = "", more: Partial<Close> = {}): Close => ({
  code,
  reason,
  opened: true,
  quiet: false,
  ...more,
});

/** Reasons as proxxy writes them (lib/error.c, and what follows its words). */
const REASONS: [string, string][] = [
  ["Console closed", "end.closed"],
  ["Proxmox: 595 the guest's node is off", "end.node_off"],
  ["Proxmox closed the console before it sent anything", "end.guest_off"],
  ["Console was idle too long", "end.idle"],
  ["Session reached its maximum length", "end.session_max"],
  ["Session was ended by the operator", "end.operator"],
  ["Payload has expired: exp was 61 s ago", "end.link_old"],
  ["Payload was used already", "end.link_used"],
  ["Payload was withdrawn", "end.link_withdrawn"],
  ["Payload is not valid yet", "end.link_early"],
  ["Invalid payload", "end.link_incomplete"],
  ["Invalid payload: vmid is missing", "end.link_wrong"],
  ["Missing payload", "end.link_incomplete"],
  ["Origin not allowed", "end.link_other_page"],
  ["Client address not allowed", "end.link_other_client"],
  ["Proxmox: no such guest", "end.no_guest"],
  ["Proxmox: 500 guest is locked (backup)", "end.locked"],
  ["Proxmox: 401 no ticket", "end.not_allowed"],
  ["Proxmox cannot be resolved", "end.host_unreachable"],
  ["Proxmox: connection lost", "end.lost"],
  ["Proxmox said something else", "end.cannot_open"],
  ["Too many consoles are open from this address", "end.limit_client"],
  ["Too many consoles were opened from this address in a short time", "end.limit_rate"],
  ["Too many requests", "end.limit_rate"],
  ["Too many consoles of this guest are open: PROXXY_MAX_PER_GUEST is 64", "end.limit_guest"],
  ["Too many consoles of this user are open", "end.limit_sub"],
  ["All consoles of this server are in use", "end.limit_total"],
  ["The store of used payloads does not answer", "end.cannot_open"],
];

test("reasons have their sentences, in this order", () => {
  for (const [reason, word] of REASONS) assert.deepEqual(ending(close(1011, reason), true), [word], reason);
});

test("each sentence is in the language files", () => {
  const words = REASONS.map(([, word]) => word);
  words.push(NO_LINK, BROKEN, "end.lost", "end.unreachable", "end.quiet", "end.not_begun", "end.again_in");
  for (const word of words) assert.ok(word in english, word);
});

test("an end without a reason", () => {
  assert.deepEqual(ending(close(1006), true), ["end.lost"]);
  assert.deepEqual(ending(close(1006, "", { opened: false }), true), ["end.unreachable"]);
  assert.deepEqual(ending(close(1000, "", { quiet: true }), true), ["end.quiet"]);
  assert.deepEqual(ending(close(1000, "", { opened: false }), false), ["end.not_begun"]);
});

test("what is worth another attempt", () => {
  for (const code of [1001, 1006, 1011, 1012, 1013, 1014]) assert.ok(passing(close(code)), String(code));
  for (const code of [1000, 1002, 1008, 1009, 4000]) assert.ok(!passing(close(code)), String(code));
  assert.ok(passing(close(1011, "Proxmox: connection lost")));
  assert.ok(!passing(close(1011, "Session reached its maximum length")));
});

test("a limit is no refusal for good", () => {
  for (const [reason] of REASONS.slice(-7)) {
    for (const code of [1006, 1013]) {
      assert.ok(busy(close(code, reason)), reason);
      assert.ok(passing(close(code, reason)), reason);
      assert.ok(!refused(close(code, reason)), reason);
    }
  }
  assert.ok(!busy(close(1011, "Proxmox: no answer in time")) && !busy(close(1006)));
});

test("a refusal is for good", () => {
  assert.ok(refused(close(1008, "Payload was used already")));
  assert.ok(refused(close(1006, "Origin not allowed")));
  assert.ok(refused(close(4000, "VNC: the password was refused")));
  assert.ok(!refused(close(1006)));
  assert.ok(!refused(close(1000, "Console closed")));
});
