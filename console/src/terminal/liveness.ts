// SPDX-License-Identifier: Apache-2.0
// Finds out that the network is gone, and measures how fast it is. termproxy answers no ping, so a request to the web
// server is made (probe), and only while the user is active: an idle console shall still reach its time limit.

const ACTIVE_MS = 120_000;
const UNANSWERED_MS = 3000;
const SILENT_MS = 5000;
const BETWEEN_PROBES_MS = 5000;
/** Between two requests that only measure, because data comes. */
const BETWEEN_MEASUREMENTS_MS = 15_000;
export const PROBE_TIMEOUT_MS = 4000;
/** A probe that ends later than this was stopped with the computer or the page, and says nothing. */
const LATE_MS = PROBE_TIMEOUT_MS + 2000;
export const TICK_MS = 500;

export interface Line {
  now(): number;
  /** When a byte came last, in the time of now(). */
  lastReceived(): number;
  /** Resolves with any answer of the server; rejects without one, after PROBE_TIMEOUT_MS at the latest. */
  probe(): Promise<void>;
  latency(milliseconds: number): void;
  lost(): void;
}

export class Liveness {
  #line: Line;
  #active: number;
  #waiting = Infinity; // since when input has had no answer
  #lastProbe = -Infinity;
  #probing = false;
  #proven = false; // a probe that never had an answer may be blocked by the browser
  #ended = false;

  constructor(line: Line) {
    this.#line = line;
    this.#active = line.now();
  }

  /** The user did something. */
  touch(): void {
    this.#active = this.#line.now();
  }

  /** Input was sent. */
  sent(): void {
    if (this.#line.lastReceived() > this.#waiting || this.#waiting === Infinity) this.#waiting = this.#line.now();
  }

  end(): void {
    this.#ended = true;
  }

  /** Call it each TICK_MS. */
  tick(): void {
    if (this.#due()) void this.#probe();
  }

  #due(): boolean {
    const now = this.#line.now();
    if (this.#ended || this.#probing || now - this.#active > ACTIVE_MS) return false;
    const received = this.#line.lastReceived();
    const unanswered = received <= this.#waiting && now - this.#waiting >= UNANSWERED_MS;
    const suspicious = unanswered || now - received >= SILENT_MS;
    return now - this.#lastProbe >= (suspicious ? BETWEEN_PROBES_MS : BETWEEN_MEASUREMENTS_MS);
  }

  async #probe(): Promise<void> {
    const began = this.#line.now();
    this.#lastProbe = began;
    this.#probing = true;
    const answered = await this.#line.probe().then(
      () => true,
      () => false,
    );
    this.#probing = false;
    if (this.#ended) return;
    const took = this.#line.now() - began;
    if (answered) {
      this.#proven = true;
      this.#line.latency(took);
    } else if (took > LATE_MS) {
      this.#lastProbe = -Infinity;
    } else if (this.#proven && this.#line.lastReceived() < began) {
      this.#ended = true;
      this.#line.lost();
    }
  }
}

/** What is asked for: a small file of the pages, beside proxxy's address. */
export function probeAddress(websocket: string): URL {
  return new URL("favicon.svg", websocket.replace(/^ws/, "http"));
}

/** Asks the web server before proxxy. Any answer will do, also a refusal, and one that a page of another origin may not
 *  read. */
export async function probeServer(websocket: string): Promise<void> {
  const request: RequestInit = { method: "HEAD", mode: "no-cors", cache: "no-store", credentials: "omit" };
  await fetch(probeAddress(websocket), { ...request, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
}
