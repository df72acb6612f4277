// SPDX-License-Identifier: Apache-2.0
// What is said when a console has ended: names of words of the language files, by proxxy's Close reason or its HTTP
// answer. The sentences say what the user can do; the panel's developer gets the details.

const SENTENCES: [RegExp, string][] = [
  [/^Too many consoles are open from/, "end.limit_client"],
  [/^Too many consoles were opened|^Too many requests/, "end.limit_rate"],
  [/^Too many consoles of this guest/, "end.limit_guest"],
  [/^Too many consoles of this user/, "end.limit_sub"],
  [/^All consoles of this server/, "end.limit_total"],
  [/^The store of used payloads/, "end.cannot_open"],
  [/the guest's node is off/, "end.node_off"],
  [/before it sent anything/, "end.guest_off"],
  [/^Console closed/, "end.closed"],
  [/idle too long/, "end.idle"],
  [/maximum length/, "end.session_max"],
  [/ended by the operator/, "end.operator"],
  [/exp is .* ahead/, "end.link_too_long"],
  [/^Invalid payload: |no such node|of the other type|is a template/, "end.link_wrong"],
  [/has expired|ticket may be used|invalid PVE(VNC)? ticket|not take the ticket/, "end.link_old"],
  [/used already/, "end.link_used"],
  [/was withdrawn/, "end.link_withdrawn"],
  [/not valid yet/, "end.link_early"],
  [/Invalid payload|Missing payload|too large/, "end.link_incomplete"],
  [/Origin not allowed/, "end.link_other_page"],
  [/Client address/, "end.link_other_client"],
  [/password/, "end.password"],
  [/refused the terminal's login/, "end.terminal_login"],
  [/no such guest/, "end.no_guest"],
  [/guest is locked/, "end.locked"],
  [/no serial port/, "end.no_serial"],
  [/: 401|: 403|permission denied|address is not allowed/, "end.not_allowed"],
  [/cannot connect|cannot be resolved|no answer in time|does not answer/, "end.host_unreachable"],
  [/TLS failed|not trusted|no WebSocket answer/, "end.host_unreachable"],
  [/connection lost|answer a Ping|do the VNC handshake/, "end.lost"],
  [/did not do the login/, "end.login_not_done"],
  [/^Proxmox|^Internal server error/, "end.cannot_open"],
  [/for the WebSocket of a console/, "end.blocked"],
];
/** After these, the same link is of no use: the user needs another one. */
const ANOTHER_LINK = [
  "end.link_old",
  "end.link_used",
  "end.link_withdrawn",
  "end.password",
  "end.terminal_login",
  "end.no_guest",
];

/** How a connection ends that is worth another one, if proxxy, a proxy or the browser says no more than that it ended:
 *  1006 no Close, 1001 a proxy's restart, 1011 to 1014 a server's or a gateway's trouble. */
const LOST_CODES = [1001, 1006, 1011, 1012, 1013, 1014];
const LOST_REASONS =
  /^$|connection lost|answer a Ping|cannot (connect|be resolved)|no answer in time|does not answer|for the WebSocket/;
/** A limit, or a shared store: proxxy did not use the link. */
const BUSY = /^Too many|^All consoles of this server|^The store of used payloads/;

/** How a connection ended. */
export interface Close {
  code: number;
  reason: string;
  /** The guest had answered. */
  opened: boolean;
  /** Nothing had passed for so long that Proxmox ends a console. */
  quiet: boolean;
}

export const LOST = "end.lost";
export const NO_LINK = "end.no_link";
export const BROKEN = "end.incomplete_page";

/** Whether proxxy has no room for this console now. */
export function busy({ reason }: Pick<Close, "reason">): boolean {
  return BUSY.test(reason);
}

/** Whether the next attempt may have more luck, with a link that lives. */
export function passing(close: Pick<Close, "code" | "reason">): boolean {
  return LOST_CODES.includes(close.code) && (LOST_REASONS.test(close.reason) || busy(close));
}

function said(reason: string): string {
  return SENTENCES.find(([pattern]) => pattern.test(reason))?.[1] ?? "";
}

/** Whether proxxy refused the link, for good. */
export function refused(close: Close): boolean {
  const http = close.code === 1006 && !passing(close);
  return close.code === 1008 || http || ANOTHER_LINK.includes(said(close.reason));
}

/** The names of what is said. live: the link opens another console. */
export function ending({ code, reason, opened, quiet }: Close, live: boolean): string[] {
  if (code === 1000 && opened && quiet) return ["end.quiet"];
  if (code === 1000 && !opened && !live) return ["end.not_begun"];
  return [said(reason) || (opened ? LOST : "end.unreachable")];
}
