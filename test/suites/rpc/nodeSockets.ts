// The Node entry point in every runtime. Bundlers choose the condition `node`, so this entry point must also work on
// Bun and Deno. (The other suites run on the runtime's own sockets.)

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createConnection, createServer } from "node:net";
import { NodeTransport } from "../../../src/adapters/nodeTransport.ts";
import { SealwireError } from "../../../src/index.ts";
import { connect, listen } from "../../../src/node.ts";
import { test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  fromText,
  patternBytes,
  rejectsWith,
  text,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

for (const { name, options } of protocols) {
  test(`${name}: messages of all sizes, both ways, and an orderly end`, async () => {
    let oneWay = 0;
    const server = await listen({
      ...options,
      port: 0,
      maxFrameBytes: 9_000_000,
      onMessage: async (message) => {
        if (!message.expectsReply) oneWay++;
        else if (message.body.length === 4)
          message.reply(await message.connection.request(text("from the server")));
        else message.reply(message.body);
      },
    });
    const client = connect({
      ...options,
      port: server.port,
      maxFrameBytes: 9_000_000,
      onMessage: (message) => message.reply(message.body),
    });
    const bodies = [0, 1, 100, 1_400, 40_000, 65_536, 1_000_000, 8_000_000].map((length) =>
      patternBytes(length),
    );
    const answers = await Promise.all(bodies.map((body) => client.request(body)));
    answers.forEach((answer, i) => {
      assertSameBytes(answer, bodies[i]!);
    });
    assert.equal(fromText(await client.request(text("call"))), "from the server");
    for (let i = 0; i < 3_000; i++) await client.send(patternBytes(i));
    await client.close();
    await server.close();
    assert.equal(oneWay, 3_000);
    // Not the port that was just given up: it may be somebody else's by now. Nobody is ever given port 1.
    await rejectsWith(connect({ ...options, port: 1 }).request(text("x")), "ERR_DIAL_FAILED");
  });

  test(`${name}: a server that is destroyed under its client`, async () => {
    const server = await listen({
      ...options,
      port: 0,
      drainTimeoutMs: 0,
      onMessage: () => new Promise(() => {}),
    });
    const client = connect({ ...options, port: server.port });
    const answers = Array.from({ length: 10 }, () => client.request(text("x")).catch((error) => error));
    await client.connected();
    await server.close();
    for (const error of await Promise.all(answers)) {
      assert.ok(error instanceof SealwireError);
      assert.match(error.code, /^ERR_(CONNECTION_LOST|HANDSHAKE)$/);
    }
    await client.close();
  });
}

test("what is written to a socket that is gone is not taken, and nobody is told that it was", async () => {
  const server = createServer((peer) => peer.on("error", () => {}).resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = createConnection((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  let written = 0;
  const onWritten = (): void => {
    written++;
  };
  const events = { onReceiveBuffer() {}, onData() {}, onWritten, onEnd() {}, onClose() {} };
  const transport = new NodeTransport(socket, events);
  socket.on("error", () => {});
  const closed = once(socket, "close");
  assert.equal(transport.write(new Uint8Array(10)), true);
  socket.destroy();
  // Otherwise a connection with much to send would seal all of it for nobody before it hears of the end.
  for (let i = 0; i < 3; i++) assert.equal(transport.write(new Uint8Array(1_000)), false);
  await closed;
  assert.equal(written, 0);
  server.close();
  await once(server, "close");
});
