// Detects whether the peer is alive: with a side that does not read, one that writes, and peers that fall silent. The
// timers are real; the suite counts their effects.

import assert from "node:assert/strict";
import { defaultLimits } from "../../../src/base/options.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { Liveness, type LivenessEvents } from "../../../src/rpc/liveness.ts";
import { test } from "../../support/harness.ts";
import { v1, v2 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  sleep,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** A connection whose states the test sets, and that counts how often it was asked. */
class Peer implements LivenessEvents {
  isPaused = false;
  isWriting = false;
  asked = 0;
  pings = 0;
  pongs = 0;
  silences: string[] = [];

  readingPaused(): boolean {
    this.asked++;
    return this.isPaused;
  }

  writing(): boolean {
    return this.isWriting;
  }

  ping(): void {
    this.pings++;
  }

  pong(): void {
    this.pongs++;
  }

  onSilence(text: string): void {
    this.silences.push(text);
  }
}

/** A server must hear its peer in this time until its handlers are busy; a machine that stands still takes a quarter of it. */
const READ_TIMEOUT_MS = 1_500;
const off = { ...defaultLimits, heartbeatIntervalMs: 0, readTimeoutMs: 0 };

test("the read deadline waits while this side does not read, and fires when it does", async () => {
  const peer = new Peer();
  peer.isPaused = true;
  const liveness = new Liveness({ ...off, readTimeoutMs: 20 }, peer);
  liveness.start(true);
  await waitFor(() => peer.asked >= 6, "six looks while it is paused");
  assert.deepEqual(peer.silences, []);
  peer.isPaused = false;
  await waitFor(() => peer.silences.length > 0, "the silence to be noticed");
  assert.equal(peer.silences.length, 1);
  liveness.stop();
});

test("the heartbeat of a side that does not read: a pong that nobody asked for, each time, and no ping", async () => {
  const peer = new Peer();
  peer.isPaused = true;
  const liveness = new Liveness({ ...off, heartbeatIntervalMs: 20, heartbeatTimeoutMs: 20 }, peer);
  liveness.start(true);
  await waitFor(() => peer.pongs >= 4, "four unasked pongs");
  assert.deepEqual([peer.pings, peer.silences], [0, []]);
  // Once it reads again, the peer is asked before it is given up.
  peer.isPaused = false;
  await waitFor(() => peer.silences.length > 0, "the silence to be noticed");
  assert.equal(peer.pings, 1);
  liveness.stop();
});

test("the heartbeat behind a write asks nothing and gives nobody up", async () => {
  const peer = new Peer();
  peer.isWriting = true;
  const liveness = new Liveness({ ...off, heartbeatIntervalMs: 20, heartbeatTimeoutMs: 20 }, peer);
  liveness.start(true);
  await waitFor(() => peer.asked >= 4, "four looks during the write");
  assert.deepEqual([peer.pings, peer.pongs, peer.silences], [0, 0, []]);
  peer.isWriting = false;
  await waitFor(() => peer.pings === 1, "the ping");
  liveness.heard();
  await waitFor(() => peer.pings >= 2 || peer.silences.length > 0, "the next ping");
  assert.deepEqual(peer.silences, [], "a peer that answered is asked again, not given up");
  liveness.stop();
});

/** Stands still, as a stopped machine does. */
function standStill(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    // The event loop does not run.
  }
}

test("a peer that stood still together with this side, for longer than its time, is heard before it is given up", async () => {
  const limits = {
    "a heartbeat": { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 400 },
    "no heartbeat": { readTimeoutMs: 400 },
  };
  for (const [name, limit] of Object.entries(limits)) {
    const asked = deferred();
    const peer = new Peer();
    peer.ping = () => {
      peer.pings++;
      asked.resolve();
    };
    const liveness = new Liveness({ ...off, ...limit }, peer);
    liveness.start(true);
    if (name === "a heartbeat") await asked.promise;
    // In another turn than the ping, whose deadline is armed by then.
    await sleep(1);
    standStill(600);
    // Its answer comes with a later timer than that of the deadline that has passed, and an earlier one than the next.
    await sleep(20);
    assert.deepEqual(peer.silences, [], name);
    liveness.heard();
    await waitFor(() => peer.silences.length > 0, "the real silence to be noticed");
    assert.equal(peer.pings, name === "a heartbeat" ? 2 : 0);
    liveness.stop();
  }
});

test("without pings (v1) there is no heartbeat", () => {
  const peer = new Peer();
  const liveness = new Liveness({ ...off, heartbeatIntervalMs: 1 }, peer);
  liveness.start(false);
  liveness.stop();
  assert.equal(peer.asked, 0);
});

test("on the wire: a v2 server whose handlers are all busy reads on, asks, and gives up who stays silent", async () => {
  const release = deferred();
  const server = await startServer({
    ...v2.options,
    maxConcurrentHandlers: 1,
    heartbeatIntervalMs: 30,
    // Longer than a busy machine may keep this process from running: both ends are in it.
    heartbeatTimeoutMs: 3_000,
    readTimeoutMs: 6_000,
    onMessage: async (message) => {
      await release.promise;
      message.reply(message.body);
    },
  });
  const peer = await RawPeer.connect(server.port);
  const session = await v2.rawSession(peer, "client");
  for (const sequence of [1, 3, 5]) peer.write(session.seal(sequence, text("waits"), Kind.message));
  // The server asks again and again: it hears what this peer says behind requests that wait for their handlers.
  for (let i = 0; i < 5; i++) {
    const frame = await session.receive();
    assert.deepEqual([frame.sequence, frame.kind, frame.body.length], [0, Kind.ping, 0], `frame ${i}`);
    peer.write(session.seal(0, new Uint8Array(0), Kind.pong));
  }
  peer.write(session.seal(7, new Uint8Array(0), Kind.ping));
  for (let frame = await session.receive(); frame.kind !== Kind.pong; frame = await session.receive())
    assert.deepEqual([frame.sequence, frame.kind], [0, Kind.ping]);
  assert.equal(server.connections.length, 1);
  release.resolve();
  const answered: number[] = [];
  for (let i = 0; i < 50 && answered.length < 3; i++) {
    const frame = await session.receive();
    if (frame.kind === Kind.reply) answered.push(frame.sequence);
    else peer.write(session.seal(0, new Uint8Array(0), Kind.pong));
  }
  assert.deepEqual(answered, [1, 3, 5]);
  // From here on it is silent.
  await waitFor(() => server.connections.length === 0, "the silent peer to be given up");
  session.destroy();
  await peer.destroy();
});

test("on the wire: the read deadline of a v1 server whose handlers are all busy waits, and begins anew when it reads on", async () => {
  const release = deferred();
  const closed: unknown[] = [];
  let closedAt = 0;
  const server = await startServer({
    ...v1.options,
    maxConcurrentHandlers: 1,
    readTimeoutMs: READ_TIMEOUT_MS,
    onConnectionState: (_, state, error) => {
      if (state !== "closed") return;
      closed.push(error?.code);
      closedAt = performance.now();
    },
    onMessage: async (message) => {
      await release.promise;
      message.reply(message.body);
    },
  });
  const peer = await RawPeer.connect(server.port);
  const session = await v1.rawSession(peer, "client");
  for (const sequence of [1, 3, 5]) peer.write(session.seal(sequence, text("waits")));
  // This peer says nothing for longer than the read time-out, until as many looks were taken as a silence has. The reading
  // goes on between two of them.
  await sleep(3.5 * READ_TIMEOUT_MS);
  assert.deepEqual(closed, []);
  assert.equal(server.connections.length, 1);
  const releasedAt = performance.now();
  release.resolve();
  for (const sequence of [1, 3, 5]) assert.equal((await session.receive()).sequence, sequence);
  await waitFor(() => closed.length > 0, "the silence to be noticed");
  assert.deepEqual(closed, ["ERR_READ_TIMEOUT"]);
  // What the peer sent meanwhile could be in the kernel: it is not given up before it could be heard for the whole time.
  assert.ok(closedAt - releasedAt >= READ_TIMEOUT_MS, `given up after ${closedAt - releasedAt} ms`);
  session.destroy();
  await peer.destroy();
});
