// SPDX-License-Identifier: Apache-2.0
// novnc.html: a guest's screen.
import { run } from "./page.js";
import { makeVnc } from "./vnc/guest.js";

run("vnc", makeVnc);
