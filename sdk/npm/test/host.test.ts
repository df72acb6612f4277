// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { authority, isNetwork, parseHost } from "../src/host.js";

test("the last part of an IPv6 address is no port", () => {
  const shown = (text: string) => authority(parseHost(text)!, 8006);
  assert.equal(shown("2001:db8::1"), "[2001:db8::1]:8006");
  assert.equal(shown("2001:db8::8007"), "[2001:db8::8007]:8006");
  assert.equal(shown("[2001:db8::1]"), "[2001:db8::1]:8006");
  assert.equal(shown("[2001:db8::1]:443"), "[2001:db8::1]:443");
  assert.equal(shown("::ffff:192.0.2.1"), "[::ffff:192.0.2.1]:8006");
  assert.equal(shown("192.0.2.1:443"), "192.0.2.1:443");
  assert.equal(shown("pve1.example.com.:443"), "pve1.example.com:443");
  assert.equal(shown("pve1"), "pve1:8006");
});

test("networks have no bits behind their prefix", () => {
  const right = ["192.0.2.0/24", "192.0.2.128/25", "2001:db8::/32", "::/0", "::1", "1:2:3:4:5:6:7:8", "1::/16"];
  right.push("::ffff:192.0.2.0/120", "1:2:3:4:5:6:7::/112", "8000::/1", "192.0.2.1/32", "::1/128");
  for (const network of right) assert(isNetwork(network), network);
  const wrong = ["192.0.2.1/24", "192.0.2.64/25", "2001:db9::/31", "::ffff:192.0.2.1/120", "::1/127", "192.0.2.0/"];
  wrong.push("192.0.2.0/24/1", "fe80::1%eth0", "", "::1/129", "/8");
  for (const network of wrong) assert(!isNetwork(network), network);
});
