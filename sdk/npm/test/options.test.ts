// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { decodeProtectedHeader } from "jose";
import { InvalidOption, Key, KeyFileError, Proxxy, ProxxyError } from "../src/index.js";
import { cases, KEY, PAGE } from "./shared.js";

const GUEST = { vmid: 100, type: "qemu", cluster: "pve" } as const;
const proxxy = new Proxxy({ key: KEY, page: PAGE });
const folder = mkdtempSync(join(tmpdir(), "proxxy-"));
after(() => rmSync(folder, { recursive: true }));

test("link: the shared cases", async () => {
  for (const { name, options, page, claims, fragment, lifetime } of cases.links) {
    const [address = "", parameters = ""] = (await proxxy.link(options)).split("#");
    const [[, payload = ""] = [], ...others] = [...new URLSearchParams(parameters)];
    const { iat, exp, ...opened } = await proxxy.open(payload);
    assert.equal(address, PAGE + page, name);
    assert.equal(Number(exp) - Number(iat), lifetime, name);
    assert.deepEqual(others, fragment, name);
    if (opened.protocol === "vnc") delete opened.protocol;
    assert.deepEqual(opened, claims, name);
  }
});

test("link: the shared mistakes", async () => {
  for (const { name, options, option } of cases.invalid)
    await assert.rejects(proxxy.link(options), { name: "InvalidOption", option }, name);
});

test("link: mistakes that types also show", async () => {
  const wrong: [string, object][] = [
    ["expires", { expires: 60 }],
    ["expiresIn", { expiresIn: 1.5 }],
    ["expiresIn", { expiresIn: "60" }],
    ["vmid", { vmid: "100" }],
    ["vmid", { vmid: 100.5 }],
    ["vmid", { vmid: NaN }],
    ["sub", { sub: 1.5 }],
    ["sub", { sub: "\ud800" }],
    ["sub", { sub: {} }],
    ["jti", { jti: false }],
    ["jti", { jti: 1 }],
    ["host", { cluster: undefined, host: 1 }],
    ["panel", { panel: "https://a.example" }],
    ["viewOnly", { viewOnly: 1 }],
  ];
  for (const [option, changed] of wrong)
    await assert.rejects(proxxy.link({ ...GUEST, ...changed } as never), { option }, inspect(changed));
});

test("link: an option that is undefined or null is not set", async () => {
  const options = { ...GUEST, host: undefined, jti: null, title: undefined } as never;
  const { vmid, type, cluster, ...others } = await proxxy.open(await proxxy.payload({ ...GUEST, host: undefined }));
  assert.deepEqual({ vmid, type, cluster, others: Object.keys(others) }, { ...GUEST, others: ["iat", "exp"] });
  assert(!(await proxxy.link(options)).includes("&"));
});

test("payload has no option of the page", async () => {
  await assert.rejects(proxxy.payload({ ...GUEST, title: "x" } as never), { option: "title" });
});

test("a payload that is too long for a request", async () => {
  await assert.rejects(proxxy.payload({ ...GUEST, sub: "x".repeat(12_000) }), { option: "payload" });
  await proxxy.payload({ ...GUEST, sub: "x".repeat(11_000) });
});

test("keys: the shared cases, as text and as a file", async () => {
  const file = join(folder, "signature.key");
  for (const { text, kid, header } of cases.keys.good) {
    writeFileSync(file, text);
    for (const settings of [{ key: text, kid }, { keyFile: file, kid }, { key: Key.fromFile(file, kid) }]) {
      const payload = await new Proxxy({ ...settings, page: PAGE }).payload(GUEST);
      assert.equal(decodeProtectedHeader(payload).kid ?? null, header);
    }
  }
  for (const { text, kid } of cases.keys.bad) {
    writeFileSync(file, text);
    assert.throws(() => Key.fromText(text, kid), KeyFileError, text);
    assert.throws(() => new Proxxy({ keyFile: file, kid, page: PAGE }), KeyFileError, text);
  }
  assert.throws(() => Key.fromFile(join(folder, "none")), { name: "KeyFileError", message: /ENOENT/ });
});

test("pages: the shared cases", () => {
  for (const page of cases.pages.good) new Proxxy({ key: KEY, page });
  for (const page of cases.pages.bad) assert.throws(() => new Proxxy({ key: KEY, page }), { option: "page" }, page);
  assert.throws(() => new Proxxy({ page: PAGE }), { option: "key" });
  assert.throws(() => new Proxxy({ key: KEY, keyFile: "x", page: PAGE }), { option: "key" });
});

test("nothing that is printed has a secret", async () => {
  const key = Key.fromText(KEY);
  const shown = inspect([proxxy, key], { depth: 9, showHidden: true }) + JSON.stringify([proxxy, key]);
  assert(!shown.includes(KEY) && !shown.includes("01 02 03"));
  const ticket = "PVE:alice@pve:TOPSECRET";
  const error = await proxxy.link({ vmid: 100, type: "qemu", host: "pve1", ticket }).catch((thrown) => thrown);
  assert(error instanceof InvalidOption && error instanceof ProxxyError);
  assert(!inspect(error, { showHidden: true }).includes("TOPSECRET"));
});
