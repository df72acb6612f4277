// SPDX-License-Identifier: Apache-2.0
// A panel that shows a guest's console. Its backend checks who may open what, and makes the payload.
import "@proxxy/console";
import { useState } from "react";
import { createRoot } from "react-dom/client";

interface Answer {
  payload?: string;
  error?: string;
}

function Panel({ vmid }: { vmid: number }) {
  const [{ payload = "", error }, setAnswer] = useState<Answer>({});

  async function open() {
    try {
      const answer = await fetch(`/console-link/${vmid}`, { method: "POST" });
      setAnswer((await answer.json()) as Answer);
    } catch {
      setAnswer({ error: "Please try again." });
    }
  }

  // onagain: the console has ended, and its user wants to open it again.
  return (
    <>
      <p>
        <button onClick={open}>Console of VM {vmid}</button> <span role="alert">{error}</span>
      </p>
      <proxxy-console websocket="/console/ws" label={`VM ${vmid}`} payload={payload} onagain={open} />
    </>
  );
}

createRoot(document.querySelector("#panel")!).render(<Panel vmid={100} />);
