// Compares the messages and requests on real sockets, and their results, with the promises of the simulation
// (test/simulation/oracle.ts). A body names its request, or its message and connection.

import type { Client, Connection, SealwireError } from "../../src/index.ts";
import { Oracle, type Stream } from "../simulation/oracle.ts";

const HEADER_BYTES = 8;

/** Two numbers, then bytes that follow from them. */
function bodyOf(first: number, second: number, moreBytes: number): Uint8Array {
  const body = new Uint8Array(HEADER_BYTES + moreBytes).fill(first + second, HEADER_BYTES);
  const view = new DataView(body.buffer);
  view.setUint32(0, first);
  view.setUint32(4, second);
  return body;
}

function numbersOf(body: Uint8Array): [number, number] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return [view.getUint32(0), view.getUint32(4)];
}

export class Ledger {
  readonly oracle = new Oracle();
  /** Requests whose answer the server's connection took, and those whose answer came. */
  readonly #taken = new Set<number>();
  readonly #received = new Set<number>();
  /** Codes of what failed, with how often. */
  readonly failures: Record<string, number> = {};

  get answers(): number {
    return this.#received.size;
  }

  get delivered(): number {
    return this.oracle.delivered;
  }

  // ---- The side that asks and sends ---------------------------------------------------------------------

  /** A request of `moreBytes` and 8 bytes. Resolves with the code of the error that it failed with, if it did. */
  async ask(
    caller: Client | Connection,
    moreBytes: number,
    options?: { timeoutMs: number },
  ): Promise<string | undefined> {
    const id = this.oracle.calls.length;
    const call = { settled: 0, delivered: 0, notBegun: false };
    this.oracle.calls.push(call);
    const body = bodyOf(id, ~id >>> 0, moreBytes);
    try {
      const answer = await caller.request(body, options);
      call.settled++;
      const isEcho = answer.length === body.length && answer.every((byte, i) => byte === body[i]);
      this.oracle.expect(isEcho, `request ${id} got an answer of something else`);
      this.#received.add(id);
      return undefined;
    } catch (error) {
      call.settled++;
      call.notBegun = (error as SealwireError).notBegun === true;
      return this.#failed(error);
    }
  }

  /** A one-way message. Resolves with the code of the error that it failed with, if it did. */
  async send(connection: Connection, moreBytes: number): Promise<string | undefined> {
    const stream = this.oracle.streamOf(connection);
    const number = stream.fates.push("pending") - 1;
    try {
      await connection.send(bodyOf(stream.id, number, moreBytes));
      stream.fates[number] = "accepted";
      return undefined;
    } catch (error) {
      const { notBegun } = error as SealwireError & { notBegun?: boolean };
      stream.fates[number] = notBegun ? "refused" : "unknown";
      return this.#failed(error);
    }
  }

  #failed(error: unknown): string {
    const { code } = error as SealwireError;
    if (code === undefined) this.oracle.violated(`failed without a code: ${(error as Error)?.stack}`);
    this.failures[code] = (this.failures[code] ?? 0) + 1;
    return code;
  }

  // ---- The side that handles ----------------------------------------------------------------------------

  /** A one-way message came. */
  arrived(connection: Connection, body: Uint8Array): void {
    this.oracle.arrived(connection, ...numbersOf(body));
  }

  /** A request came: its body, or its number. */
  asked(request: Uint8Array | number): void {
    const id = typeof request === "number" ? request : numbersOf(request)[0];
    const call = this.oracle.calls[id];
    if (call === undefined) this.oracle.violated("a request that was never made");
    else if (++call.delivered > 1) this.oracle.violated("a request came again");
  }

  /** Its answer was given, and taken or not. */
  answered(body: Uint8Array, wasTaken: boolean): void {
    if (wasTaken) this.#taken.add(numbersOf(body)[0]);
  }

  // ---- The end ------------------------------------------------------------------------------------------

  /**
   * Everything is over. `inGoodOrder`: nothing was cut, so that every answer that was taken came and every message that
   * was accepted was handled.
   */
  finish(inGoodOrder: boolean): void {
    const { oracle } = this;
    oracle.finish(new Set<Stream>(inGoodOrder ? oracle.streams : []));
    if (inGoodOrder) {
      const lost = [...this.#taken].filter((id) => !this.#received.has(id));
      oracle.expect(lost.length === 0, `answers that were taken and never came: requests ${lost}`);
    }
    if (oracle.violations.length > 0)
      throw new Error(`${oracle.violations.join("\n")}\nfailures: ${JSON.stringify(this.failures)}`);
  }
}
