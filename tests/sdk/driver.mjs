// SPDX-License-Identifier: Apache-2.0
// Calls the npm package for tests/test_sdk.py: tests/lib/sdk.py describes requests and answers.
import { createInterface } from "node:readline";
import { InvalidOption, KeyFileError, ProxmoxError, Proxxy } from "../../sdk/npm/dist/index.js";

function describe(error) {
  const { name, message, option, status, reason } = error;
  if (error instanceof InvalidOption) return { name, message, option };
  if (error instanceof KeyFileError) return { name, message };
  if (error instanceof ProxmoxError) return { name, message, status, reason };
  throw error;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { settings, call, options } = JSON.parse(line);
  let answer;
  try {
    answer = { result: await new Proxxy(settings)[call](options) };
  } catch (error) {
    answer = { error: describe(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
