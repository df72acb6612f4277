// SPDX-License-Identifier: Apache-2.0
// xterm.html: a guest's terminal.
import { run } from "./page.js";
import { makeTerminal } from "./terminal/guest.js";

run("term", makeTerminal);
