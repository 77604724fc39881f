// A short session whose connection is reset at each byte of both directions, handshake included, or falls silent there.
// The promises of the simulation hold: each request settles once, messages arrive once and in order, and the next
// connection serves. `--every` resets at all offsets; otherwise the suite resets around the ends of writes and at a
// sample. Each silence costs its time-out, so silence is always tried at a sample of offsets.

import assert from "node:assert/strict";
import { expandedKeys } from "../../../src/core/cachedKey.ts";
import { slotsInUse } from "../../../src/core/slotPool.ts";
import { type Client, connect, listen } from "../../../src/index.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { type Attack, attackProxy, type Direction } from "../../support/attackProxy.ts";
import { runsEvery } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { Ledger } from "../../support/ledger.ts";
import { protocols } from "../../support/protocols.ts";
import { checkLeaksAfterEachTest, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const directions: readonly Direction[] = ["toServer", "toClient"];
const SAMPLES = 6;
/** A client waits before it dials again, so several sessions run at once. */
const AT_ONCE = 12;
/** What a call may fail with when its connection is gone, whenever that was. */
const EXPECTED = /^ERR_(CLOSED|CONNECTION_LOST|DIAL_FAILED|HANDSHAKE|REQUEST_TIMEOUT|READ_TIMEOUT)$/;
/**
 * With v1, which has no signs of life, a silent connection ends with these. They are the limits of the next connection,
 * too, which serves, so they are longer than a busy machine may keep this process from running.
 */
const TIMES = {
  requestTimeoutMs: 5_000,
  readTimeoutMs: 4_000,
  handshakeTimeoutMs: 4_000,
  drainTimeoutMs: 4_000,
};

/** Messages and requests over a connection of which the attack decides; then over one of which it doesn't. */
async function session(options: object, attack: Attack, inGoodOrder: boolean): Promise<void> {
  const ledger = new Ledger();
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    ...options,
    onMessage(message) {
      if (!message.expectsReply) return ledger.arrived(message.connection, message.body);
      ledger.asked(message.body);
      ledger.answered(message.body, message.reply(message.body));
    },
  });
  const proxy = await attackProxy(server.port, attack);
  const client = connect({ ...options, port: proxy.port, maxConnections: 1 });
  try {
    await use(client, ledger, inGoodOrder);
    await client.close();
    await waitFor(() => server.stats.connections === 0, "the server's end of it");
    ledger.finish(inGoodOrder);
  } finally {
    await Promise.all([client.close(), server.close()]);
    await proxy.close();
  }
}

async function use(client: Client, ledger: Ledger, inGoodOrder: boolean): Promise<void> {
  const connection = await client.connected().catch(() => undefined);
  if (connection !== undefined) {
    await Promise.all([
      ledger.send(connection, 30),
      ledger.ask(connection, 10),
      ledger.send(connection, 300),
    ]);
    await ledger.ask(connection, 700);
  }
  for (const code of Object.keys(ledger.failures)) assert.match(code, EXPECTED);
  // The fault may hit this one, but not two.
  if (!inGoodOrder && (await ledger.ask(client, 5, { timeoutMs: 20_000 })) !== undefined)
    assert.equal(await ledger.ask(client, 5, { timeoutMs: 20_000 }), undefined, "the next connection serves");
}

function assertNothingHeld(): void {
  assert.deepEqual([timers.size, slotsInUse(), expandedKeys()], [0, 0, 0], "deadlines, slots, keys");
}

/** How many bytes go in each direction, and where a read of the proxy ended. */
async function measure(options: object): Promise<Record<Direction, { bytes: number; ends: number[] }>> {
  const seen = { toServer: { bytes: 0, ends: [0] }, toClient: { bytes: 0, ends: [0] } };
  const onBytes: Attack["onBytes"] = (link, direction, offset, bytes) => {
    seen[direction].bytes = offset + bytes.length;
    seen[direction].ends.push(seen[direction].bytes);
    link.send(direction, bytes);
  };
  await session(options, { onBytes }, true);
  assertNothingHeld();
  return seen;
}

/** Lets so many bytes of one direction of the first connection pass, then does it. */
function at(limit: number, where: Direction, then: "reset" | "silent"): Attack {
  let isOver = false;
  return {
    onBytes(link, direction, offset, bytes) {
      if (link.id > 0) return link.send(direction, bytes);
      if (isOver) return;
      if (direction !== where || offset + bytes.length <= limit) return link.send(direction, bytes);
      isOver = true;
      if (limit > offset) link.send(direction, bytes.subarray(0, limit - offset));
      if (then === "reset") link.reset();
    },
    onEnd(link, direction) {
      if (link.id > 0 || !isOver) link.end(direction);
      else if (then === "silent") setTimeout(() => link.cut(), 50);
    },
  };
}

function offsets({ bytes, ends }: { bytes: number; ends: number[] }, then: "reset" | "silent"): number[] {
  if (runsEvery && then === "reset") return Array.from({ length: bytes }, (_, i) => i);
  const spread = Array.from({ length: SAMPLES }, (_, i) => Math.floor((i * bytes) / SAMPLES) + (i % 3));
  const around = then === "silent" ? [] : ends.flatMap((end) => [end - 1, end]);
  return [...new Set([...spread, ...around])].filter((offset) => offset >= 0 && offset < bytes);
}

for (const { name, options, withKinds } of protocols) {
  for (const then of ["reset", "silent"] as const) {
    test(`${name}: ${then} at bytes of a short session`, { timeoutMs: 3_600_000 }, async () => {
      const signs = withKinds ? { heartbeatIntervalMs: 300, heartbeatTimeoutMs: 4_000 } : {};
      const all = { ...options, ...TIMES, ...signs };
      const seen = await measure(options);
      const faults = directions.flatMap((direction) =>
        offsets(seen[direction], then).map((offset) => ({ direction, offset })),
      );
      assert.ok(faults.length >= 2 * SAMPLES);
      for (let from = 0; from < faults.length; from += AT_ONCE) {
        const each = faults.slice(from, from + AT_ONCE).map(({ direction, offset }) =>
          session(all, at(offset, direction, then), false).catch((error) => {
            throw new Error(`${then} at byte ${offset} of ${direction}`, { cause: error });
          }),
        );
        await Promise.all(each);
        assertNothingHeld();
      }
      if (runsEvery) console.log(`    ${faults.length} offsets`);
    });
  }
}
