// A misspelt option is a mistake of the caller: it throws at once, and the error names the option and the one that was
// probably meant. Every part of the API that takes options has a row here.

import assert from "node:assert/strict";
import { Blake2b, blake2b } from "../../../src/crypto.ts";
import {
  type Client,
  closeOnSignal,
  connect,
  knownPeers,
  listen,
  monteV1,
  noise,
  type Server,
  setProcessLimits,
} from "../../../src/index.ts";
import { HandshakeState } from "../../../src/noise.ts";
import { jsonCodec, method, retry, serve, typed } from "../../../src/rpc.ts";
import { linkedPair, memoryNetwork } from "../../../src/testing.ts";
import { test } from "../../support/harness.ts";
import { PSK, v2 } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, startPair, text, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

type Take = (options: object) => unknown;
const body = text("x");

/** Everything that takes options: the names of the options are what its errors list. */
function takers(client: Client, server: Server): Record<string, Take> {
  const connection = server.connections[0]!;
  const known = knownPeers("never-read");
  return {
    connect: (options) => connect({ port: 1, psk: PSK, ...options }),
    "an endpoint": (options) => connect({ psk: PSK, endpoints: [{ port: 1, ...options }] }),
    listen: (options) => listen({ port: 0, psk: PSK, ...options }),
    health: (options) => listen({ port: 0, psk: PSK, health: { port: 0, ...options } }),
    proxyProtocol: (options) => listen({ port: 0, psk: PSK, proxyProtocol: { trusted: [], ...options } }),
    "client.send": (options) => client.send(body, options),
    "client.request": (options) => client.request(body, options),
    "client.call": (options) => client.call(body, options),
    "connection.send": (options) => connection.send(body, options),
    "connection.request": (options) => connection.request(body, options),
    "connection.call": (options) => connection.call(body, options),
    "a head of a send": (options) => client.send(body, { head: options }),
    "a head of a call": (options) => client.call(body, { head: options }),
    "client.connected": (options) => client.connected(options),
    "server.close": (options) => server.close(options),
    "server.reload": (options) => server.reload({ psk: PSK, ...options }),
    closeOnSignal: (options) => closeOnSignal(server, options),
    setProcessLimits: (options) => setProcessLimits(options),
    knownPeers: (options) => knownPeers("never-read", options),
    "knownPeers.add": (options) => known.add("a", new Uint8Array(32), options),
    noise: (options) => noise({ psk: PSK, ...options }),
    monteV1: (options) => monteV1(options),
    HandshakeState: (options) => new HandshakeState({ pattern: "NN", initiator: true, ...options }),
    blake2b: (options) => blake2b(body, options),
    Blake2b: (options) => new Blake2b(options),
    serve: (options) => serve({}, options),
    typed: (options) => typed(client, options),
    "options of a typed call": (options) =>
      typed<{ echo(): void }>(client).echo.$with(options as { timeoutMs: number }),
    method: (options) => method(() => {}, options),
    retry: (options) => retry(options),
    jsonCodec: (options) => jsonCodec(options),
    memoryNetwork: (options) => memoryNetwork(options),
    linkedPair: (options) => linkedPair(options),
  };
}

/** The text of the error for these options, thrown or rejected with. */
async function refusal(what: string, take: Take, options: object): Promise<string> {
  try {
    await take(options);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    assert.equal(code, "ERR_INVALID_ARGUMENT", `${what}: ${message}`);
    return message;
  }
  return assert.fail(`${what} took ${JSON.stringify(options)}`);
}

test("every misspelt option is refused, and the error says which one was meant", async () => {
  const { client, server } = await startPair(v2.options, v2.options);
  await client.connected();
  await waitFor(() => server.connections.length === 1, "the server's end to open");
  let tried = 0;
  for (const [what, take] of Object.entries(takers(client, server))) {
    // Nothing is like this name, so the error lists what there is.
    const list = /option "qqqq" is unknown: the options are (.+)$/.exec(
      await refusal(what, take, { qqqq: 1 }),
    );
    assert.ok(list !== null, what);
    for (const name of list[1]!.split(", ")) {
      // Nothing is like one letter or two.
      if (name.length < 3) continue;
      const middle = name.length >> 1;
      for (const misspelt of [
        name.slice(0, middle) + name.slice(middle + 1),
        name.toUpperCase(),
        `${name}s`,
      ]) {
        const message = await refusal(what, take, { [misspelt]: 1 });
        const expected = `option "${misspelt}" is unknown: ${name} was probably meant`;
        assert.ok(message.endsWith(expected), `${what}: ${message}`);
        tried++;
      }
    }
  }
  assert.ok(tried > 400, `${tried} misspelt names`);
});

test("options of another kind of call are refused as well", async () => {
  const { client, server } = await startPair(v2.options, v2.options);
  await client.connected();
  await waitFor(() => server.connections.length === 1, "the server's end to open");
  const { signal } = new AbortController();
  const takes = takers(client, server);
  for (const side of ["client", "connection"]) {
    const wrong = [
      ["send", { signal }],
      ["send", { into: new Uint8Array(1) }],
      ["request", { head: { method: "a" } }],
      ["request", { streams: false }],
      ["call", { into: new Uint8Array(1) }],
    ] as const;
    for (const [kind, options] of wrong) {
      const [name] = Object.keys(options);
      const message = await refusal(kind, takes[`${side}.${kind}`]!, options);
      assert.ok(message.startsWith(`option "${name}" is unknown: the options are`), message);
    }
  }
});

test("a misspelt part of an answer's head is refused where the answer is given", async () => {
  const refusals: string[] = [];
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: async (message) => {
        const reply: Take = (head) => message.reply(message.body, head);
        refusals.push(await refusal("reply", reply, { contentTyp: 1 }));
        message.reply(message.body, { contentType: 1 });
      },
    },
    v2.options,
  );
  const call = client.call(body);
  assert.deepEqual(await call.answer, body);
  assert.equal(call.answerHead?.contentType, 1);
  assert.deepEqual(refusals, ['option "contentTyp" is unknown: contentType was probably meant']);
});

test("a head that came with a message may go on with a call", async () => {
  const heads: unknown[] = [];
  const { client, server } = await startPair(
    {
      ...v2.options,
      onMessage: (message) => {
        heads.push(message.head);
        message.reply(message.body, message.head);
      },
    },
    { ...v2.options, onMessage: (message) => message.reply(message.body) },
  );
  const head = { method: "a.b", contentType: 3, fields: new Map([[200, Uint8Array.of(7)]]) };
  const call = client.call(body, { head, timeoutMs: 5_000 });
  assert.deepEqual(await call.answer, body);
  assert.deepEqual(call.answerHead, heads[0]);
  const { answerHead } = call;
  const back = server.connections[0]!.call(body, { head: answerHead! });
  assert.deepEqual(await back.answer, body);
});

test("a name of any length, or of no letters, is refused in the same way", () => {
  for (const name of ["", "\u{1f511}", "toString", "__proto__x", "x".repeat(1_000_000)]) {
    const options = Object.fromEntries([[name, 1]]);
    assert.throws(() => typed({ call() {}, send() {} } as never, options), {
      code: "ERR_INVALID_ARGUMENT",
      message: `option ${JSON.stringify(name)} is unknown: the options are use, codec`,
    });
  }
});
