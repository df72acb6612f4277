// SPDX-License-Identifier: Apache-2.0
// A panel that shows a guest's console. Its backend checks who may open what, and makes the payload.
import "./proxxy/index.js";

const element = document.querySelector("proxxy-console");
let vmid = "";

async function open() {
  let answer;
  try {
    answer = await (await fetch(`/console-link/${vmid}`, { method: "POST" })).json();
  } catch {
    answer = { error: "Please try again." };
  }
  document.querySelector("[role=alert]").textContent = answer.error ?? "";
  if (!answer.payload) return;
  element.label = `VM ${vmid}`;
  element.payload = answer.payload;
}

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    vmid = button.value;
    open();
  });
}
// The console has ended, and its user wants to open it again.
element.addEventListener("again", open);
