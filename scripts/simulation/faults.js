// Faults that this library had or could have, as edits of its sources. The simulation has to find each of them.

/**
 * @typedef {{ file: string, find: string, replace: string }} Edit
 * @type {Record<string, { text: string, seed?: number, edits: Edit[] }>} seed: where the search for it begins in the gate
 *   (1): just before the first world that showed it when this was written
 */
export const faults = {
  "nested append": {
    text: "a handler runs inside another one's call, because sending and going on with reading share a queue",
    seed: 105,
    edits: [
      {
        file: "/src/rpc/api.ts",
        find: "resumptions: new TurnQueue(adapter),",
        replace: "get resumptions() { return this.flushes; },",
      },
    ],
  },
  "quadratic queue": {
    text: "every segment that is moved out of the pool looks through all that wait",
    seed: 27,
    edits: [
      {
        file: "/src/rpc/sendQueue.ts",
        find: "Math.max(this.#slottedFrom, this.#head)",
        replace: "this.#head",
      },
    ],
  },
  "unproven open": {
    text: "a server takes a replayed first message for its client",
    edits: [
      {
        file: "/src/rpc/link.ts",
        find: "if (this.#withKind) this.#parts.sendSettings(session);",
        replace: "if (this.#withKind) { this.#parts.sendSettings(session); this.#open(); }",
      },
    ],
  },
  "detached signal": {
    text: "a handler that goes on after its answer is not told of the end once its request's number is used again",
    seed: 5,
    edits: [{ file: "/src/rpc/handlers.ts", find: "    this.#others.add(earlier);\n", replace: "" }],
  },
  "deadlock of two busy ends": {
    text: "an end that is at its limits stops reading, also what it waits for itself: two of them wait for each other",
    seed: 14,
    edits: [
      { file: "/src/rpc/intake.ts", find: "this.#pauses = !withKind;", replace: "this.#pauses = true;" },
      {
        file: "/src/rpc/inbox.ts",
        find: "return this.#speaksV2 ? !this.#arrivals.clock.isOver : this.#arrivals.ready;",
        replace: "return this.#arrivals.ready;",
      },
    ],
  },
  "a write's memory is reused": {
    text: "a segment's slot is free before the socket has taken it",
    edits: [
      {
        file: "/src/rpc/writer.ts",
        find: "    this.#slot = slot;\n    if (this.#write(bytes, cost))",
        replace: "    const waits = this.#write(bytes, cost);\n    releaseSlot(slot);\n    if (waits)",
      },
    ],
  },
  "a request is sent again": {
    text: "a client sends a request to another connection, though a server that had proved nothing yet may have begun it",
    seed: 8_000_080,
    edits: [
      {
        file: "/src/rpc/displacedCalls.ts",
        find: "error.notBegun && !endedByCaller",
        replace: "!endedByCaller",
      },
    ],
  },
  "not begun, it says": {
    text: "an error says that a request has not begun, though a server that had proved nothing yet may have begun it",
    seed: 8_000_028,
    edits: [
      {
        file: "/src/rpc/link.ts",
        find: 'before === "dialing" || before === "handshaking"',
        replace: 'before === "dialing" || before === "handshaking" || before === "unproven"',
      },
    ],
  },
};
