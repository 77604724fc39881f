// A small HTTP server that says whether a server should get new connections. Loaded only with the option `health`, and by
// the proxy of the command line, which shows its counters there as well.

import { encodeText } from "../core/text.ts";
import { memory, RECEIVE_BUFFER } from "../core/wasmModule.ts";
import { CallbackDeadline } from "./deadline.ts";
import { timers } from "./timers.ts";
import type { Adapter, Address, Listener, Transport, TransportEvents } from "./transport.ts";

/**
 * A probe's request is shorter than this, headers included, and arrives within this time. A longer or slower one is cut
 * off.
 */
const LONGEST_REQUEST_BYTES = 4_096;
const PROBE_TIMEOUT_MS = 5_000;
/** The most probes at once. The next one takes the place of the oldest, which may be a socket that says nothing. */
const MOST_PROBES = 64;
const HEADER_END = "\r\n\r\n";

/** Answers one request. */
class Probe implements TransportEvents {
  readonly #transport: Transport;
  readonly #answer: (requestLine: string) => Uint8Array;
  readonly #onGone: (probe: Probe) => void;
  readonly #deadline = new CallbackDeadline(() => this.drop());
  #received = "";
  #answered = false;

  constructor(
    transport: Transport,
    answer: (requestLine: string) => Uint8Array,
    onGone: (probe: Probe) => void,
  ) {
    this.#transport = transport;
    this.#answer = answer;
    this.#onGone = onGone;
    timers.arm(this.#deadline, PROBE_TIMEOUT_MS);
  }

  drop(): void {
    this.#transport.destroy();
  }

  onReceiveBuffer(length: number): void {
    this.onData(memory.subarray(RECEIVE_BUFFER, RECEIVE_BUFFER + length));
  }

  onData(bytes: Uint8Array): void {
    if (this.#answered) return;
    if (this.#received.length + bytes.length > LONGEST_REQUEST_BYTES) {
      this.drop();
      return;
    }
    for (const byte of bytes) this.#received += String.fromCharCode(byte);
    if (!this.#received.includes(HEADER_END)) return;
    this.#answered = true;
    const response = this.#answer(this.#received.slice(0, this.#received.indexOf("\r")));
    if (this.#transport.write(response)) this.#transport.end();
  }

  onWritten(): void {
    this.#transport.end();
  }

  onEnd(): void {
    // The answer, if there is one, has left. The deadline ends the wait for a kernel that does not take it.
    this.drop();
  }

  onClose(): void {
    timers.cancel(this.#deadline);
    this.#onGone(this);
  }
}

export class HealthProbes {
  readonly #health: () => string;
  readonly #pages: Readonly<Record<string, () => object>>;
  readonly #probes = new Set<Probe>();
  #listener: Listener | undefined;

  /**
   * `health`: the state that is answered; new connections are welcome only if it is "ready". `pages`: further paths, with
   * what they show as JSON.
   */
  constructor(health: () => string, pages: Readonly<Record<string, () => object>> = {}) {
    this.#health = health;
    this.#pages = pages;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Rejects with ERR_LISTEN_FAILED. */
  async listen(adapter: Adapter, address: Address): Promise<void> {
    this.#listener = await adapter.listen(address, (transport) => this.#accept(transport));
  }

  keepAlive(on: boolean): void {
    this.#listener?.keepAlive?.(on);
  }

  async close(): Promise<void> {
    const stopped = this.#listener?.close();
    for (const probe of this.#probes) probe.drop();
    await stopped;
  }

  #accept(transport: Transport): TransportEvents {
    const probe = new Probe(
      transport,
      (requestLine) => this.#answer(requestLine),
      (gone) => this.#probes.delete(gone),
    );
    const [oldest] = this.#probes;
    if (oldest !== undefined && this.#probes.size >= MOST_PROBES) {
      // Its socket may be gone only later.
      this.#probes.delete(oldest);
      oldest.drop();
    }
    this.#probes.add(probe);
    transport.resume();
    return probe;
  }

  /** GET or HEAD of a page, of /livez (the process answers) or of / and /readyz (new connections are welcome). */
  #answer(requestLine: string): Uint8Array {
    const [method, target = "", version = ""] = requestLine.split(" ");
    if (!/^HTTP\/1\.[01]$/.test(version)) return response(400, "bad request", true);
    if (method !== "GET" && method !== "HEAD" && method !== "OPTIONS")
      return response(405, "method not allowed", true);
    const withBody = method === "GET";
    const health = this.#health();
    const path = target.split("?", 1)[0]!;
    if (Object.hasOwn(this.#pages, path)) {
      const text = JSON.stringify(this.#pages[path]!());
      return response(200, text, withBody, "application/json");
    }
    if (path === "/livez") return response(200, health, withBody);
    if (path !== "/" && path !== "/readyz") return response(404, "not found", withBody);
    return response(health === "ready" ? 200 : 503, health, withBody);
  }
}

const reasons: Record<number, string> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  503: "Service Unavailable",
};

function response(status: number, text: string, withBody: boolean, type = "text/plain"): Uint8Array {
  const body = encodeText(`${text}\n`);
  const lines = [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    "Cache-Control: no-store",
    "Connection: close",
  ].join("\r\n");
  const head = encodeText(lines + HEADER_END);
  if (!withBody) return head;
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}
