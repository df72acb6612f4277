// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeProtectedHeader } from "jose";
import { InvalidOption, Key, Proxxy } from "../src/index.js";
import { seal } from "../src/jwe.js";
import { KEY, PAGE, refused, vectors } from "./shared.js";

const GUEST = { vmid: 100, type: "qemu", cluster: "pve" } as const;
const jwe = vectors.filter(({ format }) => format === "jwe");

function proxxyWith(key: string) {
  return new Proxxy({ key, page: PAGE });
}

function keyOf({ header, key }: { header?: string; key: string }) {
  const { kid } = JSON.parse(header ?? "{}") as { kid?: string };
  return kid ? `${kid}:${key}` : key;
}

test("seals the vectors byte for byte", async () => {
  const own = jwe.filter(({ header }) => !header.includes("typ"));
  for (const { name, plaintext, nonce, payload, ...vector } of own)
    assert.equal(await seal(plaintext!, Key.fromText(keyOf(vector)), Buffer.from(nonce, "hex")), payload, name);
  assert(own.length > 10);
});

test("opens the vectors", async () => {
  for (const vector of jwe)
    assert.deepEqual(await proxxyWith(keyOf(vector)).open(vector.payload), vector.claims, vector.name);
});

test("opens nothing that proxxy refuses, except where only proxxy knows the clusters", async () => {
  for (const { name, key, payload, plaintext, why } of refused) {
    const opened = proxxyWith(key).open(payload);
    const isOpened = /no cluster file|cluster file of proxxy/.test(why);
    if (isOpened) assert.deepEqual(await opened, JSON.parse(plaintext!), name);
    else await assert.rejects(opened, { name: "InvalidOption", option: "payload" }, name);
  }
});

test("opens no other text", async () => {
  const payload = await proxxyWith(KEY).payload(GUEST);
  const [header = "", , nonce, cipher, tag] = payload.split(".");
  const zip = Buffer.from('{"alg":"dir","enc":"A256GCM","zip":"DEF"}').toString("base64url");
  const none = Buffer.from('{"alg":"none","enc":"A256GCM"}').toString("base64url");
  const wrong = [
    ...[undefined, 1, "", "x", `${payload}.`, ` ${payload}`, [header, "AAAA", nonce, cipher, tag].join(".")],
    ...[zip, none, "x", ""].map((other) => [other, "", nonce, cipher, tag].join(".")),
    [header, "", nonce, `${cipher}=`, tag].join("."),
  ];
  for (const text of wrong) await assert.rejects(proxxyWith(KEY).open(text as string), InvalidOption, String(text));
});

test("opens no text that is not strict JSON", async () => {
  const key = Key.fromText(KEY);
  const texts = ['{"a":1,"a":2}', '{"a":[{"b":1,"b":2}]}', '{"a":1,"\\u0061":2}', "[]", "1", '{"a":"\\ud800"}'];
  for (const text of [...texts, '{"a":"\\u0000"}', "null"])
    await assert.rejects(proxxyWith(KEY).open(await seal(text, key)), { message: /is not a JSON object$/ }, text);
  const claims = '{"vmid":100,"type":"qemu","cluster":"a\\"b","exp":1,"x":{"vmid":[{},":",{}]}}';
  await assert.rejects(proxxyWith(KEY).open(await seal(claims, key)), { message: /cluster is not the name/ });
});

test("a key without a name, and one with the payload's, open it", async () => {
  const other = "00".repeat(32);
  const payload = await proxxyWith(`a:${KEY}`).payload(GUEST);
  assert.equal(decodeProtectedHeader(payload).kid, "a");
  for (const keys of [`a:${KEY}`, KEY, `b:${other},a:${KEY}`, `a:${other},a:${KEY}`])
    assert.equal((await proxxyWith(keys).open(payload)).vmid, 100);
  for (const keys of [`b:${KEY}`, other, `b:${KEY},a:${other}`]) await assert.rejects(proxxyWith(keys).open(payload));
});
