// SPDX-License-Identifier: Apache-2.0
// The parts of Node that the tests use. All of Node's types would change those of the browser, such as setTimeout's.

declare module "node:test" {
  type Run = (context: { mock: typeof mock }) => void | Promise<void>;
  export function test(name: string, run: Run): void;
  export function describe(name: string, run: () => void): void;
  export function it(name: string, run: Run): void;
  export function beforeEach(run: () => void | Promise<void>): void;
  export function afterEach(run: () => void | Promise<void>): void;
  export const mock: {
    timers: {
      enable(options?: { apis?: string[]; now?: number }): void;
      tick(milliseconds: number): void;
      runAll(): void;
      reset(): void;
    };
    method(object: object, name: string, replacement?: (...values: never[]) => unknown): unknown;
    reset(): void;
  };
  export default test;
}

declare module "node:assert/strict" {
  interface Assert {
    (value: unknown, message?: string): asserts value;
    ok(value: unknown, message?: string): asserts value;
    equal<T>(actual: unknown, expected: T, message?: string): asserts actual is T;
    notEqual(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    match(text: string, pattern: RegExp, message?: string): void;
    doesNotMatch(text: string, pattern: RegExp, message?: string): void;
    throws(run: () => unknown, expected?: unknown, message?: string): void;
    rejects(run: Promise<unknown> | (() => Promise<unknown>), expected?: unknown, message?: string): Promise<void>;
    fail(message?: string): never;
  }
  const assert: Assert;
  export default assert;
}

declare module "node:fs" {
  export function readFileSync(path: string | URL, encoding: "utf8"): string;
  export function readdirSync(path: string | URL): string[];
}
