// SPDX-License-Identifier: Apache-2.0
export type { Claims } from "./claims.js";
export { InvalidOption, KeyFileError, ProxmoxError, ProxxyError, type ProxmoxReason } from "./errors.js";
export { Key } from "./key.js";
export type {
  GuestOptions,
  GuestType,
  LimitOptions,
  LinkOptions,
  PageOptions,
  PayloadOptions,
  Protocol,
} from "./options.js";
export { Proxxy, type ConsoleOptions, type ProxmoxOptions, type Settings } from "./proxxy.js";
