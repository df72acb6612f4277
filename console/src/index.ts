// SPDX-License-Identifier: Apache-2.0
// The package @proxxy/console: registers <proxxy-console>. A guest's code is loaded when the first one of its kind is
// shown.
import { define, provide } from "./element.js";

provide("vnc", async () => (await import("./vnc/guest.js")).makeVnc);
provide("term", async () => (await import("./terminal/guest.js")).makeTerminal);
define();

export { ProxxyConsole } from "./element.js";
export type { ConsoleEventMap, ConsoleEvents } from "./events.js";
export type { Key, Kind, Quality, Scaling, Typing } from "./guest.js";
export type { State } from "./view.js";
