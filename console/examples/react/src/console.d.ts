// SPDX-License-Identifier: Apache-2.0
// The element for TypeScript in JSX: its properties, and its events as "on" and their name.
import type { ConsoleEvents, ProxxyConsole } from "@proxxy/console";
import type { DetailedHTMLProps, HTMLAttributes } from "react";

type Properties = Partial<Pick<ProxxyConsole, "payload" | "websocket" | "label" | "scaling" | "viewOnly" | "layout">>;
type Handlers = { [Name in keyof ConsoleEvents as `on${Name}`]?: (event: ConsoleEvents[Name]) => void };

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "proxxy-console": DetailedHTMLProps<HTMLAttributes<ProxxyConsole>, ProxxyConsole> & Properties & Handlers;
    }
  }
}
