// An active attacker against protocol v2 flips, replays, reorders, drops, reflects, cuts or splices bytes on the way.
// No byte is delivered that the peer did not send, none twice, none out of order, and every call settles.

import assert from "node:assert/strict";
import {
  type ClientOptions,
  type Connection,
  connect,
  generateKeyPair,
  type HandshakeFactory,
  listen,
  noise,
  type Server,
  type ServerOptions,
} from "../../../src/index.ts";
import {
  type Attack,
  type AttackProxy,
  attackProxy,
  type Direction,
  type Link,
} from "../../support/attackProxy.ts";
import { runsEvery, sharedStep } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const clientKeys = generateKeyPair();
const serverKeys = generateKeyPair();
const psk = crypto.getRandomValues(new Uint8Array(32));

type Credentials = Pick<
  ClientOptions & ServerOptions,
  "psk" | "staticKey" | "remoteStatic" | "handshake" | "postQuantum"
>;
const hybridPatterns: Record<string, [client: Credentials, server: Credentials]> = {
  NNhfs: [{}, {}],
  "NNhfs+psk0": [{ psk }, { psk }],
  XXhfs: [
    { staticKey: clientKeys, remoteStatic: [serverKeys.publicKey, clientKeys.publicKey] },
    { staticKey: serverKeys },
  ],
  "IKhfs+psk2": [
    { staticKey: clientKeys, remoteStatic: serverKeys.publicKey, psk },
    { staticKey: serverKeys, psk },
  ],
};
const classical = { postQuantum: false } as const;
/** Those, and their classical forms. */
const patterns: Record<string, [client: Credentials, server: Credentials]> = {
  ...hybridPatterns,
  ...Object.fromEntries(
    Object.entries(hybridPatterns).map(([name, [client, server]]) => [
      name.replace(/hfs\+?/, ""),
      [
        { ...client, ...classical },
        { ...server, ...classical },
      ],
    ]),
  ),
};

/** Short times, because an attack may make a side wait for bytes that never come. */
const limits = {
  handshakeTimeoutMs: 1_500,
  requestTimeoutMs: 1_500,
  drainTimeoutMs: 1_500,
  heartbeatIntervalMs: 0,
};
/** Where nobody waits for such bytes: longer than a busy machine may keep this process from running. */
const patient: typeof limits = {
  handshakeTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  drainTimeoutMs: 10_000,
  heartbeatIntervalMs: 0,
};
/** Far above those: what has not settled by then hangs. */
const HANG_MS = 20_000;
const PARALLEL_SESSIONS = 16;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A server that writes down what is delivered, answers, and calls back. */
class Victim {
  readonly server: Server;
  /** Per session, the texts in the order of delivery, on the server and on its client. */
  readonly atServer = new Map<string, string[]>();
  opened = 0;
  closed = 0;

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(credentials: Credentials, times = limits): Promise<Victim> {
    let victim: Victim | undefined;
    const server = await listen({
      port: 0,
      ...times,
      ...credentials,
      maxHandshakes: 1_000,
      onMessage: (message) => {
        const text = decoder.decode(message.body);
        const session = text.slice(text.indexOf("#"));
        const texts = victim!.atServer.get(session) ?? [];
        victim!.atServer.set(session, texts);
        texts.push(text);
        if (message.expectsReply) message.reply(encoder.encode(`reply to ${text}`));
        else message.connection.sendNoWait(encoder.encode(`server says ${session}`));
      },
      onConnectionState: (_connection, state) => {
        if (state === "open") victim!.opened++;
        if (state === "closed") victim!.closed++;
      },
    });
    victim = new Victim(server);
    return victim;
  }

  async close(): Promise<void> {
    await inTime("the server's close", this.server.close());
  }
}

/** A promise that must settle. */
async function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), HANG_MS);
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}

let sessions = 0;

/** What a whole session delivers when nobody attacks. */
const completeAtServer = (id: string): string[] => [`first ${id}`, `one way ${id}`, `second ${id}`];
const completeAtClient = (id: string): string[] => [`server says ${id}`];

interface Outcome {
  /** Everything was delivered and answered. */
  complete: boolean;
  /** The reason why the client's connection ended, if it was not good order. */
  clientError: string | undefined;
}

/**
 * One short session through `port`. To the server: a request alone in its frame, a bundle of a one-way message and a
 * request, drain, close. Back: a reply alone, a bundle of a message and a reply, a bundle of drain and close.
 */
async function session(
  port: number,
  victim: Victim,
  credentials: Credentials,
  times = limits,
): Promise<Outcome> {
  const id = `#${sessions++}`;
  const atClient: string[] = [];
  let clientError: string | undefined;
  const client = connect({
    port,
    ...times,
    ...credentials,
    maxConnections: 1,
    onMessage: (message) => void atClient.push(decoder.decode(message.body)),
    onConnectionState: (_connection, state, error) => {
      if (state === "closed") clientError = error?.code;
    },
  });
  const replies: string[] = [];
  const settled = async (...calls: Promise<unknown>[]): Promise<void> => {
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "rejected") assert.equal((result.reason as Error).name, "SealwireError");
      else if (result.value instanceof Uint8Array) replies.push(decoder.decode(result.value));
    }
  };
  const calls = async (connection: Connection): Promise<void> => {
    await settled(connection.request(encoder.encode(`first ${id}`)));
    const sent = connection.send(encoder.encode(`one way ${id}`));
    await settled(sent, connection.request(encoder.encode(`second ${id}`)));
  };
  await inTime(
    `session ${id}`,
    client.connected().then(calls, (error: Error) => assert.equal(error.name, "SealwireError")),
  );
  await inTime(`the close of ${id}`, client.close());

  const atServer = victim.atServer.get(id) ?? [];
  assert.deepEqual(atServer, completeAtServer(id).slice(0, atServer.length), "not what the client sent");
  assert.deepEqual(atClient, completeAtClient(id).slice(0, atClient.length), "not what the server sent");
  const expected = [`reply to first ${id}`, `reply to second ${id}`];
  assert.deepEqual(
    replies,
    expected.filter((reply) => replies.includes(reply)),
    "not what the server answered",
  );
  const complete = atServer.length === 3 && atClient.length === 1 && replies.length === 2;
  return { complete, clientError };
}

/** Runs one session per attack, some at a time, each through a proxy of its own. */
async function runAttacks(
  pattern: string | [client: Credentials, server: Credentials],
  attacks: Attack[],
  check: (outcome: Outcome, attack: Attack, i: number) => void,
  atOnce = PARALLEL_SESSIONS,
  times = limits,
): Promise<void> {
  const [clientCredentials, serverCredentials] = typeof pattern === "string" ? patterns[pattern]! : pattern;
  const victim = await Victim.start(serverCredentials, times);
  try {
    const queue = [...attacks.entries()];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [i, attack] = next;
        const proxy = await attackProxy(victim.server.port, attack);
        let outcome: Outcome;
        try {
          outcome = await session(proxy.port, victim, clientCredentials, times);
        } finally {
          await proxy.close();
        }
        check(outcome, attack, i);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    await victim.close();
  }
  assert.equal(victim.opened <= victim.closed, true, "every connection that opened was closed");
  for (const [id, texts] of victim.atServer) {
    assert.deepEqual(texts, completeAtServer(id).slice(0, texts.length), "delivered after the session's end");
  }
}

interface Recording {
  bytes: Record<Direction, number>;
  frames: Record<Direction, number>;
}

/** How long a session is that nobody touches, which also shows that sessions through the proxy work. */
async function record(pattern: string): Promise<Recording> {
  const recording: Recording = { bytes: { toServer: 0, toClient: 0 }, frames: { toServer: 0, toClient: 0 } };
  const attack: Attack = {
    onFrame(link, direction, _index, frame) {
      recording.frames[direction]++;
      recording.bytes[direction] += frame.length;
      link.send(direction, frame);
    },
  };
  const check = (outcome: Outcome): void =>
    assert.deepEqual(outcome, { complete: true, clientError: undefined });
  await runAttacks(pattern, [attack], check, 1, patient);
  assert.ok(
    recording.frames.toServer >= 5 && recording.frames.toClient >= 4,
    "handshake, a call alone, a bundle of calls, drain and close",
  );
  return recording;
}

const directions: readonly Direction[] = ["toServer", "toClient"];
/** Frames of each direction after its last call: drain and close of the client, both in a bundle of the server. */
const closingFrames = { toServer: 2, toClient: 1 };
/** Each close says in a field of 3 + 4 bytes which request was begun last. */
const CLOSING_BYTES = 2 * (4 + 5 + 16) + (4 + 5 + 2 * 9 + 16) + 2 * (3 + 4);

/** Flips one bit of one direction's byte stream. `flipped` tells whether the stream got that far. */
function flipBit(direction: Direction, byte: number, bit: number): Attack & { flipped: boolean } {
  return {
    flipped: false,
    onBytes(link, from, offset, bytes) {
      if (from === direction && byte >= offset && byte < offset + bytes.length) {
        bytes[byte - offset]! ^= 1 << bit;
        this.flipped = true;
      }
      link.send(from, bytes);
    },
  };
}

/** Session ids have the same number of digits in one run, so that lengths do not move. */
function startIdsAt(first: number): void {
  sessions = first;
}

async function flipBits(pattern: string, { first, of }: ReturnType<typeof sampled>): Promise<void> {
  try {
    await flipEach(pattern, of);
  } catch (error) {
    throw new Error(`of the sample that begins with byte ${first}`, { cause: error });
  }
}

async function flipEach(pattern: string, bitsOfByte: (byte: number) => number[]): Promise<void> {
  startIdsAt(100_000);
  const { bytes } = await record(pattern);
  const attacks = directions.flatMap((direction) =>
    Array.from({ length: bytes[direction] }, (_, byte) => byte).flatMap((byte) =>
      bitsOfByte(byte).map((bit) => flipBit(direction, byte, bit)),
    ),
  );
  let complete = 0;
  let unsent: Attack[] = attacks;
  // On a machine that is busy with other things a session can run into a time-out before it comes to its bit: again then,
  // with less at once.
  for (let atOnce = PARALLEL_SESSIONS; atOnce >= 1 && unsent.length > 0; atOnce /= 4) {
    const tried = unsent;
    unsent = [];
    await runAttacks(
      pattern,
      tried,
      (outcome, attack) => {
        if (!(attack as ReturnType<typeof flipBit>).flipped) unsent.push(attack);
        else if (outcome.complete) complete++;
      },
      atOnce,
    );
  }
  assert.ok(unsent.length <= attacks.length / 100, `${unsent.length} of ${attacks.length} were never sent`);
  // Only what follows the last delivered byte can be spoilt without a loss: drain and close of both sides.
  const bytesOfBoth = Math.max(bytes.toClient, bytes.toServer);
  const bitsPerByte = Math.max(...Array.from({ length: bytesOfBoth }, (_, byte) => bitsOfByte(byte).length));
  assert.ok(complete <= CLOSING_BYTES * bitsPerByte, `${complete} spoilt sessions were complete`);
}

/** Bits of one byte in `step`, begun at another byte in every run; of every byte with --every. */
const sampled = (sparse: number, bits: (byte: number) => number[]) => {
  const step = sharedStep(sparse);
  const first = Math.floor(Math.random() * step);
  return { first, of: (byte: number) => (runsEvery || byte % step === first ? bits(byte) : []) };
};

test("bits of a short NNpsk0 session flipped in turn", { timeoutMs: 300_000 }, () =>
  flipBits(
    "NNpsk0",
    sampled(5, (byte) => (runsEvery ? [0, 1, 2, 3, 4, 5, 6, 7] : [byte % 8])),
  ),
);

for (const pattern of ["NN", "XX", "IKpsk2"]) {
  test(`a bit of bytes of a short ${pattern} session flipped in turn`, { timeoutMs: 300_000 }, () =>
    flipBits(
      pattern,
      sampled(11, (byte) => [(byte >> 3) % 8]),
    ),
  );
}

// A hybrid handshake has 2,400 bytes more than a classical one.
for (const pattern of Object.keys(hybridPatterns)) {
  test(`a bit of bytes of a short ${pattern} session flipped in turn`, { timeoutMs: 600_000 }, () =>
    flipBits(
      pattern,
      sampled(53, (byte) => [(byte >> 3) % 8]),
    ),
  );
}

/** What can be done to frame `target` of `direction`. */
const frameAttacks: Record<string, (direction: Direction, target: number) => Attack> = {
  "replayed at once": (direction, target) => ({
    onFrame(link, from, index, frame) {
      link.send(from, frame);
      if (from === direction && index === target) link.send(from, frame);
    },
  }),
  "replayed after the next": (direction, target) => {
    let kept: Uint8Array | undefined;
    return {
      onFrame(link, from, index, frame) {
        link.send(from, frame);
        if (from !== direction) return;
        if (index === target) kept = frame;
        if (index === target + 1) link.send(from, kept!);
      },
    };
  },
  "swapped with the next": (direction, target) => {
    let kept: Uint8Array | undefined;
    return {
      onFrame(link, from, index, frame) {
        if (from !== direction || index < target || index > target + 1) link.send(from, frame);
        else if (index === target) kept = frame;
        else {
          link.send(from, frame);
          link.send(from, kept!);
        }
      },
    };
  },
  dropped: (direction, target) => ({
    onFrame(link, from, index, frame) {
      if (from !== direction || index !== target) link.send(from, frame);
    },
  }),
  "reflected instead of passed on": (direction, target) => ({
    onFrame(link, from, index, frame) {
      const back = from === "toServer" ? "toClient" : "toServer";
      link.send(from === direction && index === target ? back : from, frame);
    },
  }),
  "reflected besides": (direction, target) => ({
    onFrame(link, from, index, frame) {
      link.send(from, frame);
      if (from === direction && index === target)
        link.send(from === "toServer" ? "toClient" : "toServer", frame);
    },
  }),
  "cut off before": (direction, target) => ({
    onFrame(link, from, index, frame) {
      if (from !== direction || index < target) link.send(from, frame);
      else if (index === target) link.end(from);
    },
  }),
  "cut off within": (direction, target) => ({
    onFrame(link, from, index, frame) {
      if (from !== direction || index < target) link.send(from, frame);
      else if (index === target) {
        link.send(from, frame.subarray(0, frame.length - 3));
        link.end(from);
      }
    },
  }),
  "the last of a cut connection": (direction, target) => ({
    onFrame(link, from, index, frame) {
      link.send(from, frame);
      if (from === direction && index === target) link.cut();
    },
  }),
};

for (const pattern of Object.keys(patterns)) {
  test(`each frame of ${pattern} replayed, reordered, dropped, reflected, cut`, {
    timeoutMs: 120_000,
  }, async () => {
    startIdsAt(100_000);
    const { frames } = await record(pattern);
    const attacks: Attack[] = [];
    const names: string[] = [];
    for (const [name, make] of Object.entries(frameAttacks)) {
      for (const direction of directions) {
        for (let target = 0; target < frames[direction]; target++) {
          attacks.push(make(direction, target));
          names.push(`frame ${target} ${direction} ${name}`);
        }
      }
    }
    const completed: string[] = [];
    await runAttacks(pattern, attacks, (outcome, _attack, i) => {
      if (outcome.complete) completed.push(names[i]!);
    });
    // A session can only be complete when the attack began after its last delivered byte.
    for (const name of completed) {
      assert.ok(!/^frame [01] .* (replayed at once|dropped|reflected instead|cut off)/.test(name), name);
      assert.ok(!/^frame 2 .* (dropped|reflected instead|cut off)/.test(name), name);
    }
    assert.ok(completed.length < names.length / 2, completed.join("; "));
  });
}

/** Two sessions whose frames number `target` of `direction` take each other's place. */
function splice(direction: Direction, target: number): Attack & { spliced: boolean } {
  const held: [Link, Uint8Array][] = [];
  return {
    spliced: false,
    onFrame(link, from, index, frame) {
      if (from !== direction || index !== target) {
        link.send(from, frame);
        return;
      }
      held.push([link, frame]);
      if (held.length < 2) return;
      const [[firstLink, firstFrame], [secondLink, secondFrame]] = held as [
        (typeof held)[0],
        (typeof held)[0],
      ];
      firstLink.send(from, secondFrame);
      secondLink.send(from, firstFrame);
      this.spliced = true;
    },
  };
}

for (const pattern of Object.keys(patterns)) {
  test(`frames of two ${pattern} sessions exchanged`, { timeoutMs: 120_000 }, async () => {
    startIdsAt(100_000);
    const { frames } = await record(pattern);
    const [clientCredentials, serverCredentials] = patterns[pattern]!;
    const victim = await Victim.start(serverCredentials, patient);
    let proxy: AttackProxy | undefined;
    try {
      for (const direction of directions) {
        // The last frames of a direction are drain and close: what is spliced there was delivered before.
        for (let target = 0; target < frames[direction] - closingFrames[direction]; target++) {
          const attack = splice(direction, target);
          proxy = await attackProxy(victim.server.port, attack);
          const both = [
            session(proxy.port, victim, clientCredentials, patient),
            session(proxy.port, victim, clientCredentials, patient),
          ];
          const outcomes = await Promise.all(both);
          await proxy.close();
          assert.equal(attack.spliced, true, `frame ${target} ${direction}`);
          for (const outcome of outcomes)
            assert.equal(outcome.complete, false, `frame ${target} ${direction}`);
        }
      }
    } finally {
      await proxy?.close();
      await victim.close();
    }
  });
}

test("frames of an earlier session, replayed to a new one, deliver nothing", async () => {
  const [clientCredentials, serverCredentials] = patterns.NNpsk0!;
  const victim = await Victim.start(serverCredentials, patient);
  const recorded: Uint8Array[] = [];
  const recorder = await attackProxy(victim.server.port, {
    onFrame(link, direction, _index, frame) {
      if (direction === "toServer") recorded.push(frame);
      link.send(direction, frame);
    },
  });
  startIdsAt(100_000);
  assert.equal((await session(recorder.port, victim, clientCredentials, patient)).complete, true);
  await recorder.close();
  const before = JSON.stringify([...victim.atServer]);
  // To the server all of the old client's bytes, whatever the new client says.
  const replayer = await attackProxy(victim.server.port, {
    onFrame(link, direction, index, frame) {
      link.send(direction, direction === "toServer" ? (recorded[index] ?? frame) : frame);
    },
  });
  try {
    const outcome = await session(replayer.port, victim, clientCredentials, patient);
    assert.equal(outcome.complete, false);
    assert.equal(outcome.clientError, "ERR_HANDSHAKE");
    assert.equal(JSON.stringify([...victim.atServer]), before);
  } finally {
    await replayer.close();
    await victim.close();
  }
});

/** What v2 would be with the mistakes of v1: no handshake, one known key for both directions, every time. */
const broken: HandshakeFactory = {
  name: "broken on purpose",
  format: noise().format,
  anonymous: true,
  create: () => ({
    send: () => undefined,
    expects: 0,
    receive() {},
    done: true,
    finish: () => ({
      sendKey: new Uint8Array(32).fill(1),
      receiveKey: new Uint8Array(32).fill(1),
      identity: {
        protocol: "broken",
        authenticated: false,
        remoteStaticKey: undefined,
        handshakeHash: undefined,
      },
    }),
    destroy() {},
  }),
};

test("control: on a protocol that is broken on purpose these tests notice", async () => {
  const credentials: [Credentials, Credentials] = [{ handshake: broken }, { handshake: broken }];
  startIdsAt(100_000);
  const reflected = frameAttacks["reflected instead of passed on"]!("toServer", 2);
  await assert.rejects(
    runAttacks(credentials, [reflected], () => {}),
    { message: /not what the server sent/ },
  );

  // And what is not attacked is complete on it, so the attack made the difference.
  await runAttacks(credentials, [{}], (outcome) => assert.equal(outcome.complete, true), 1, patient);
});
