// Which accepted sockets a server listens to and admits, in total and per address: with sockets that send nothing,
// parts of a first message, or a first message that somebody else once sent.

import assert from "node:assert/strict";
import * as net from "node:net";
import { generateKeyPair } from "../../../src/index.ts";
import { noise } from "../../../src/noise.ts";
import { AcceptedSocket } from "../../../src/rpc/acceptedSocket.ts";
import { addressGroup } from "../../../src/rpc/addressGroup.ts";
import { Admission } from "../../../src/rpc/admission.ts";
import { resolveAdmission } from "../../../src/rpc/admissionLimits.ts";
import { HANDSHAKES_MS, HandshakeTurns } from "../../../src/rpc/handshakeTurns.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { MOST_EXPIRED_PER_TICK } from "../../../src/rpc/waitingSockets.ts";
import { test } from "../../support/harness.ts";
import { protocols, v2 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  rejectsWith,
  sleep,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** The honest first message of a v2 client, as a listener could have recorded it. */
function recordedFirstMessage(): Uint8Array {
  const handshake = noise({ psk: v2.options.psk! }, "client").create("client", { remoteAddress: "" });
  const message = handshake.send()!.slice();
  handshake.destroy();
  return message;
}

function rawPeers(port: number, count: number): Promise<RawPeer[]> {
  return Promise.all(Array.from({ length: count }, () => RawPeer.connect(port)));
}

async function destroyAll(peers: RawPeer[]): Promise<void> {
  for (const peer of peers) await peer.destroy();
}

// ---- The rules, on sockets that are none ----------------------------------------------------------------

/** An admission whose sockets end when they are dropped, and whose handshakes run until the test ends them. */
class Door {
  readonly admission: Admission;
  readonly admitted: AcceptedSocket[] = [];
  readonly displaced: AcceptedSocket[] = [];
  readonly dropped = new Set<AcceptedSocket>();
  whenDropped = (): void => {};

  /** The clock of the handshakes' turns, and what waits for the next poll of the event loop. */
  ms = 0;
  /** Each handshake takes so long. */
  handshakeMs = 0;
  readonly spent: number[] = [];
  readonly turn = {
    someWait: false,
    polls: 0,
    spend: (ms: number): void => void this.spent.push(ms),
    askForPoll: (): void => void this.turn.polls++,
  };
  readonly turns = new HandshakeTurns(this.turn, () => this.ms);

  readonly events = {
    admit: (socket: AcceptedSocket): void => {
      this.ms += this.handshakeMs;
      this.admitted.push(socket);
    },
    displace: (socket: AcceptedSocket): void => {
      this.displaced.push(socket);
      this.admission.ended(socket);
    },
  };

  constructor(options: Parameters<typeof resolveAdmission>[0]) {
    this.admission = new Admission(resolveAdmission(options, true), this.events, this.turns);
  }

  accept(address: string): AcceptedSocket {
    const owner = {
      firstMessageBytes: () => 1,
      mostSurplusBytes: 0,
      spoke: () => {},
      left: () => {},
      addressTold: () => true,
      headerRefused: () => {},
    };
    const transport = {
      remoteAddress: address,
      write: () => true,
      unwrittenBytes: () => 0,
      pause: () => {},
      resume: () => {},
      end: () => {},
      destroy: () => {
        this.dropped.add(socket);
        this.whenDropped();
      },
    };
    const share = this.admission.shareOf(addressGroup(address));
    const socket: AcceptedSocket = new AcceptedSocket(owner, transport, share);
    this.admission.arrived(socket);
    return socket;
  }

  /** A socket whose first message is complete. */
  acceptReady(address: string): AcceptedSocket {
    const socket = this.accept(address);
    this.admission.spoke(socket);
    return socket;
  }

  isAdmitted(socket: AcceptedSocket): boolean {
    return this.admitted.includes(socket);
  }
}

test("a handshake that can't begin ends alone: its socket is closed, and the others are admitted", () => {
  const door = new Door({ maxConnections: 1 });
  const { admit } = door.events;
  const failure = new Error("no memory");
  door.events.admit = () => {
    throw failure;
  };
  const failed = door.accept("192.0.2.1");
  assert.throws(() => door.admission.spoke(failed), failure);
  assert.ok(door.dropped.has(failed));
  door.events.admit = admit;
  // The only place is free again when the socket is gone.
  const other = door.acceptReady("192.0.2.1");
  assert.ok(!door.isAdmitted(other));
  door.admission.left(failed);
  door.admission.admitReady();
  assert.ok(door.isAdmitted(other));
  door.admission.close();
});

test("too many silent sockets: the oldest goes, and an address with its half loses its own", () => {
  const door = new Door({ maxWaitingSockets: 10 });
  const attacker = Array.from({ length: 8 }, () => door.accept("192.0.2.1"));
  const others = ["192.0.2.2", "192.0.2.3", "192.0.2.4"].map((address) => door.accept(address));
  // 5 of the attacker's are left, and nobody else's is gone.
  assert.deepEqual(
    attacker.map((socket) => door.dropped.has(socket)),
    [true, true, true, false, false, false, false, false],
  );
  assert.equal(door.admission.waiting, 8);
  for (const address of ["192.0.2.5", "192.0.2.6"]) door.accept(address);
  // Full, and the newcomer's address has little: the oldest of all goes.
  door.accept("192.0.2.7");
  assert.ok(door.dropped.has(attacker[3]!));
  assert.ok(!others.some((socket) => door.dropped.has(socket)));
  assert.equal(door.admission.waiting, 10);
  assert.equal(door.admission.dropped, 4);
  assert.equal(door.admission.refused, 0);
  door.admission.close();
});

test("silent sockets take no place, and ready ones are never dropped for silent ones", () => {
  const door = new Door({ maxWaitingSockets: 8, maxHandshakes: 1, maxConnections: 4 });
  for (let i = 0; i < 4; i++) door.accept("192.0.2.1");
  const first = door.acceptReady("192.0.2.2");
  assert.ok(door.isAdmitted(first));
  const waiting = ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"].map((address) =>
    door.acceptReady(address),
  );
  assert.equal(door.admitted.length, 1);
  for (let i = 0; i < 50; i++) door.accept(`198.51.100.${i}`);
  assert.ok(!waiting.some((socket) => door.dropped.has(socket)));
  assert.equal(door.admission.waiting, 8);
  door.admission.close();
});

test("an address whose waiting sockets all spoke gets no more, and others do", () => {
  const door = new Door({ maxWaitingSockets: 8, maxHandshakes: 1 });
  door.acceptReady("192.0.2.9");
  for (let i = 0; i < 4; i++) door.acceptReady("192.0.2.1");
  const one = door.accept("192.0.2.1");
  assert.ok(door.dropped.has(one));
  assert.equal(door.admission.refused, 1);
  assert.ok(!door.dropped.has(door.accept("192.0.2.2")));
  door.admission.close();
});

test("places go to the addresses in turn", () => {
  const door = new Door({ maxHandshakes: 1, maxConnections: 100 });
  const first = door.acceptReady("192.0.2.1");
  const many = Array.from({ length: 5 }, () => door.acceptReady("192.0.2.1"));
  const other = door.acceptReady("192.0.2.2");
  const third = door.acceptReady("192.0.2.3");
  for (let i = 0; i < 5; i++) {
    door.admission.proved(door.admitted.at(-1)!);
    door.admission.admitReady();
  }
  const order = door.admitted.map((socket) => [first, ...many, other, third].indexOf(socket));
  assert.deepEqual(order, [0, 6, 7, 1, 2, 3]);
  door.admission.close();
});

test("limits per address: handshakes and connections; a place is free when its socket is gone", () => {
  const door = new Door({ maxHandshakes: 4, maxHandshakesPerAddress: 2, maxConnectionsPerAddress: 3 });
  const sockets = Array.from({ length: 5 }, () => door.acceptReady("192.0.2.1"));
  assert.equal(door.admitted.length, 2);
  assert.ok(door.isAdmitted(door.acceptReady("192.0.2.2")));
  door.admission.proved(sockets[0]!);
  door.admission.proved(sockets[1]!);
  door.admission.admitReady();
  assert.deepEqual(
    [2, 3, 4].map((i) => door.isAdmitted(sockets[i]!)),
    [true, false, false],
  );
  door.admission.ended(sockets[0]!);
  door.admission.admitReady();
  assert.ok(!door.isAdmitted(sockets[3]!), "its socket still exists");
  door.admission.left(sockets[0]!);
  door.admission.admitReady();
  assert.deepEqual(
    [3, 4].map((i) => door.isAdmitted(sockets[i]!)),
    [true, false],
  );
  door.admission.close();
});

test("whoever waits for a place ends the sockets of closed connections early: the oldest, and no more than needed", () => {
  const door = new Door({ maxConnections: 3, maxHandshakes: 2, maxConnectionsPerAddress: 2 });
  const { admission } = door;
  const [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.1"].map((address) => {
    const socket = door.acceptReady(address);
    admission.proved(socket);
    return socket;
  });
  for (const socket of [two!, one!, three!]) admission.ended(socket);
  assert.equal(door.dropped.size, 0);
  const late = door.acceptReady("192.0.2.3");
  assert.deepEqual([...door.dropped], [two]);
  assert.equal(door.isAdmitted(late), false);
  admission.left(two!);
  admission.admitReady();
  assert.equal(door.isAdmitted(late), true);
  // An address at its limit ends its own.
  const again = door.acceptReady("192.0.2.1");
  assert.deepEqual([...door.dropped], [two, one]);
  admission.left(one!);
  admission.admitReady();
  assert.equal(door.isAdmitted(again), true);
  // There are no more handshakes to begin, but places.
  admission.left(late);
  const held = [door.acceptReady("192.0.2.4"), door.acceptReady("192.0.2.5")];
  assert.deepEqual(
    held.map((socket) => door.isAdmitted(socket)),
    [true, false],
  );
  admission.left(held[0]!);
  admission.admitReady();
  assert.equal(door.isAdmitted(held[1]!), true);
  // What is gone is not ended again.
  admission.left(three!);
  assert.deepEqual([...door.dropped], [two, one]);
  admission.close();
});

test("an old handshake holds no place against those that wait; who proves itself first has it", () => {
  const door = new Door({ maxConnections: 2, handshakeTimeoutMs: 10_000 });
  const stuck = [door.acceptReady("192.0.2.1"), door.acceptReady("192.0.2.2")];
  const good = door.acceptReady("192.0.2.3");
  const slow = door.acceptReady("192.0.2.4");
  assert.ok(!door.isAdmitted(good));
  for (const socket of stuck) socket.since -= 300;
  door.admission.admitReady();
  assert.ok(door.isAdmitted(good) && door.isAdmitted(slow));
  assert.deepEqual(door.displaced, [], "they go on besides");
  door.admission.proved(good);
  assert.deepEqual(door.displaced, [], "one place is left");
  // One of the old ones was only slow: it takes the last place, and the others can't get one any more.
  door.admission.proved(stuck[1]!);
  assert.deepEqual(door.displaced, [slow, stuck[0]]);
  assert.equal(door.admission.handshakes, 0);
  assert.equal(door.admission.refused, 2);
  door.admission.close();
});

test("a proven connection beyond the limit displaces one young handshake, the youngest", () => {
  const door = new Door({ maxConnections: 3, handshakeTimeoutMs: 10_000 });
  const slow = door.acceptReady("192.0.2.1");
  slow.since -= 300;
  const young = ["192.0.2.2", "192.0.2.3", "192.0.2.4"].map((address) => door.acceptReady(address));
  assert.deepEqual(
    young.map((socket) => door.isAdmitted(socket)),
    [true, true, true],
  );
  door.admission.proved(slow);
  assert.deepEqual(
    door.displaced.map((socket) => young.indexOf(socket)),
    [2],
  );
  assert.equal(door.admission.refused, 1);
  // The place is taken, also when the displaced socket is gone.
  const late = door.acceptReady("192.0.2.5");
  door.admission.left(young[2]!);
  door.admission.admitReady();
  assert.equal(door.isAdmitted(late), false);
  door.admission.left(young[0]!);
  door.admission.admitReady();
  assert.equal(door.isAdmitted(late), true);
  door.admission.close();
});

test("too many handshakes: only overdue ones give way, those of an address to its own", () => {
  const door = new Door({ maxHandshakes: 4, handshakeTimeoutMs: 10_000 });
  const stuck = Array.from({ length: 2 }, () => door.acceptReady("192.0.2.1"));
  const others = ["192.0.2.2", "192.0.2.3"].map((address) => door.acceptReady(address));
  const same = door.acceptReady("192.0.2.1");
  const elsewhere = door.acceptReady("192.0.2.4");
  for (const socket of [...stuck, ...others]) socket.since -= 1_000;
  door.admission.admitReady();
  assert.ok(!door.isAdmitted(same) && !door.isAdmitted(elsewhere));
  for (const socket of stuck) socket.since -= 600;
  door.admission.admitReady();
  assert.deepEqual(door.displaced, stuck);
  assert.ok(door.isAdmitted(same) && door.isAdmitted(elsewhere));
  assert.equal(door.admission.handshakes, 4);
  door.admission.close();
});

test("many free places at once are not filled in one turn", () => {
  const door = new Door({ maxConnections: 100, handshakeTimeoutMs: 10_000 });
  const stuck = Array.from({ length: 100 }, (_, i) => door.acceptReady(`192.0.2.${i}`));
  const waiting = Array.from({ length: 100 }, (_, i) => door.acceptReady(`198.51.100.${i}`));
  for (const socket of stuck) socket.since -= 300;
  door.handshakeMs = HANDSHAKES_MS / 4;
  door.admission.admitReady();
  assert.equal(door.admitted.length - stuck.length, 4, "handshakes began in one turn");
  assert.ok(door.turn.polls > 0, "the others' turn comes");
  for (let polls = 1; polls < 25; polls++) {
    door.turns.polled();
    assert.equal(door.admitted.length - stuck.length, 4 * (polls + 1), `after ${polls} polls`);
  }
  assert.ok(waiting.every((socket) => door.isAdmitted(socket)));
  door.admission.close();
});

test("handshakes are work of the turn that all connections have together", () => {
  const door = new Door({ maxHandshakes: 100 });
  door.handshakeMs = 0.25;
  for (let i = 0; i < 5; i++) door.acceptReady("192.0.2.1");
  assert.deepEqual(door.spent, [0.25, 0.25, 0.25, 0.25, 0.25]);
  door.admission.close();
});

test("a socket that ends is counted, admitted never, and its address is forgotten", () => {
  const door = new Door({ maxHandshakes: 1 });
  const first = door.acceptReady("192.0.2.1");
  const silent = door.accept("192.0.2.2");
  const ready = door.acceptReady("192.0.2.3");
  ready.onEnd();
  silent.onEnd();
  assert.ok(door.dropped.has(ready) && door.dropped.has(silent));
  door.admission.proved(first);
  door.admission.admitReady();
  assert.deepEqual(door.admitted, [first]);
  assert.equal(door.admission.shares.size, 3);
  for (const socket of [silent, ready, first]) door.admission.left(socket);
  assert.equal(door.admission.shares.size, 0);
  assert.equal(door.admission.dropped, 2);
  door.admission.close();
});

test("without time to wait whoever finds no place is closed at once", () => {
  const door = new Door({ maxConnections: 1, maxConnectionWaitMs: 0 });
  assert.ok(door.isAdmitted(door.acceptReady("192.0.2.1")));
  assert.ok(door.dropped.has(door.acceptReady("192.0.2.2")));
  assert.equal(door.admission.refused, 1);
  door.admission.close();
});

test("thousands whose time is over at once are not closed in one go", async () => {
  for (const stage of ["silent", "ready"] as const) {
    const door = new Door({ maxConnections: 1, maxConnectionWaitMs: 20, handshakeTimeoutMs: 20 });
    door.acceptReady("192.0.2.1");
    const perWakeUp = new Map<number, number>();
    door.whenDropped = () => perWakeUp.set(timers.wakeUps, (perWakeUp.get(timers.wakeUps) ?? 0) + 1);
    const count = 4 * MOST_EXPIRED_PER_TICK;
    for (let i = 0; i < count; i++) {
      const address = `192.0.3.${i % 16}`;
      if (stage === "silent") door.accept(address);
      else door.acceptReady(address);
    }
    await waitFor(() => door.dropped.size === count, `the end of all ${stage} ones`);
    for (const closed of perWakeUp.values()) assert.ok(closed <= MOST_EXPIRED_PER_TICK, `${closed} at once`);
    assert.equal(door.admission.waiting, 0);
    door.admission.close();
  }
});

test("nobody gets old while nobody waits", () => {
  const door = new Door({ maxConnections: 1 });
  const slow = door.acceptReady("192.0.2.1");
  slow.since -= 5_000;
  door.admission.admitReady();
  assert.equal(slow.stage, "young");
  door.admission.proved(slow);
  assert.deepEqual(door.displaced, []);
  door.admission.close();
});

test("what one address is: IPv4, an IPv6 network of 64 bits, IPv4 inside IPv6", () => {
  const groups: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["64:ff9b::192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1::2:0:0:1", "2001:db8:1:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64%eth0"],
    ["", ""],
    ["1:2:3", "1:2:3"],
    ["1::2::3", "1::2::3"],
    ["12345::1", "12345::1"],
    ["1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:9"],
  ];
  for (const [address, group] of groups) assert.equal(addressGroup(address), group, address);
});

// ---- The same on sockets --------------------------------------------------------------------------------

for (const protocol of protocols) {
  const { name, options } = protocol;
  const first = protocol.withKinds ? recordedFirstMessage() : new Uint8Array(32).fill(9);

  test(`${name}: silent sockets and parts of a first message lock nobody out`, async () => {
    const server = await startServer({
      ...options,
      onMessage: echo,
      maxConnections: 2,
      maxHandshakes: 1,
      maxWaitingSockets: 40,
    });
    const attackers = await rawPeers(server.port, 60);
    // Every part of the message, and some of them byte by byte.
    for (const [i, peer] of attackers.entries()) peer.write(first.subarray(0, i % first.length));
    for (let i = 0; i < 10; i++) {
      const client = startClient({ ...options, port: server.port, maxConnections: 1 });
      assert.equal(fromText(await client.request(text("good"))), "good");
      await client.close();
      await waitFor(() => server.connections.length === 0, "its place");
    }
    assert.ok(server.droppedSockets >= 40, `${server.droppedSockets} dropped`);
    assert.ok(server.waitingSockets <= 20, `${server.waitingSockets} of one address wait`);
    assert.equal(server.refusedConnections, 0);
    await destroyAll(attackers);
  });

  test(`${name}: dripped bytes don't extend the time`, async () => {
    const server = await startServer({ ...options, onMessage: echo, handshakeTimeoutMs: 200 });
    const peer = await RawPeer.connect(server.port);
    let ended = false;
    const end = peer.ended().then(() => {
      ended = true;
    });
    let sent = 0;
    for (; !ended && sent < first.length - 1; sent++) {
      peer.write(first.subarray(sent, sent + 1));
      await sleep(25);
    }
    await end;
    assert.ok(sent < first.length - 1, "it was closed only when nothing came any more");
    assert.equal(server.droppedSockets, 1);
    await peer.destroy();
  });

  test(`${name}: a first message in single bytes is one`, async () => {
    const server = await startServer({ ...options, onMessage: echo });
    const drip = await RawPeer.connect(server.port);
    const write = drip.write.bind(drip);
    // The session's bytes leave one by one: the socket is told of them in as many turns as the runtime likes.
    drip.write = (bytes) => {
      for (let i = 0; i < bytes.length; i++) write(bytes.subarray(i, i + 1));
    };
    const session = await protocol.rawSession(drip, "client");
    await waitFor(() => server.connections.length === 1 || protocol.withKinds, "its connection");
    session.destroy();
    await drip.destroy();
  });

  test(`${name}: a closing server drops those that wait`, async () => {
    const server = await startServer({ ...options, onMessage: echo, maxConnections: 1 });
    const client = startClient({ ...options, port: server.port, maxConnections: 1 });
    await client.request(text("the only place"));
    const [silent, ready] = (await rawPeers(server.port, 2)) as [RawPeer, RawPeer];
    ready.write(first);
    await waitFor(() => server.waitingSockets === 2, "both to wait");
    await server.close();
    await silent.ended();
    await ready.ended();
    await destroyAll([silent, ready]);
  });
}

for (const postQuantum of [true, false]) {
  const form = postQuantum ? "hybrid" : "X25519 alone";

  test(`${form}: handshakes that nobody ends keep no client from its place`, async () => {
    const keys = generateKeyPair();
    const places = 4;
    const options = { authorize: () => true, postQuantum };
    const server = await startServer({
      ...options,
      staticKey: keys.privateKey,
      onMessage: echo,
      maxConnections: places,
    });
    // Message 1 of XX is public keys that nobody needs to know the private keys of.
    const stuck = await rawPeers(server.port, places);
    for (const peer of stuck) {
      const factory = noise({ ...options, staticKey: generateKeyPair().privateKey }, "client");
      const handshake = factory.create("client", { remoteAddress: "" });
      peer.write(handshake.send()!.slice());
      handshake.destroy();
      factory.destroy();
      await peer.read(4);
    }
    const clients = Array.from({ length: places }, () =>
      startClient({
        ...options,
        staticKey: generateKeyPair().privateKey,
        port: server.port,
        maxConnections: 1,
      }),
    );
    for (const client of clients) assert.equal(fromText(await client.request(text("proven"))), "proven");
    assert.equal(server.connections.length, places);
    // The proven ones took the places of those, one by one.
    for (const peer of stuck) await peer.ended();
    assert.equal(server.refusedConnections, places);
    await destroyAll(stuck);
  });
}

test("a herd of clients that connect at once is served completely", { timeoutMs: 120_000 }, async () => {
  // Longer than the test may take: how soon is up to the machine.
  const options = { ...v2.options, handshakeTimeoutMs: 200_000 };
  const server = await startServer({ ...options, onMessage: echo });
  const clients = Array.from({ length: 300 }, () => startClient({ ...options, port: server.port }));
  await Promise.all(clients.map((client) => client.request(text("all"), { timeoutMs: 200_000 })));
  assert.equal(server.refusedConnections, 0);
  assert.equal(server.droppedSockets, 0);
  assert.equal(server.connections.length, clients.length);
});

test("one address at its limit of connections leaves the others theirs", {
  only: ["node20", "node26"],
}, async () => {
  const server = await startServer({ ...v2.options, onMessage: echo, maxConnectionsPerAddress: 1 });
  const first = startClient({ ...v2.options, port: server.port });
  await first.request(text("in"));
  // Other addresses of the loopback network come by way of a relay, since clients have no option for theirs.
  const relay = net.createServer((near) => {
    const far = net.connect({ port: server.port, host: "127.0.0.1", localAddress: "127.0.0.2" });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const { port } = relay.address() as net.AddressInfo;
  const other = startClient({ ...v2.options, port });
  assert.equal(fromText(await other.request(text("from elsewhere"))), "from elsewhere");
  assert.equal(server.connections.length, 2);
  const second = startClient({ ...v2.options, port: server.port, handshakeTimeoutMs: 100 });
  await rejectsWith(second.request(text("no place")), "ERR_HANDSHAKE_TIMEOUT");
  await first.close();
  await waitFor(() => server.connections.length === 1, "the place");
  const third = startClient({ ...v2.options, port: server.port });
  assert.equal(fromText(await third.request(text("now"))), "now");
  for (const client of [other, second, third]) await client.close();
  await new Promise<void>((resolve) => relay.close(() => resolve()));
});

test("a handshake of the application's that can't tell its first message is begun, and says why", async () => {
  const { monteV1 } = await import("../../../src/index.ts");
  const v1 = monteV1();
  const broken = () => {
    throw new Error("from the application");
  };
  const endsBegun = async (firstMessageBytes: (() => never) | undefined): Promise<void> => {
    const reasons: (string | undefined)[] = [];
    const { firstMessageBytes: _left, ...rest } = v1;
    const handshake = firstMessageBytes === undefined ? rest : { ...rest, firstMessageBytes };
    const server = await startServer({
      handshake,
      onMessage: echo,
      // It is the limit of the good client, too: longer than a busy machine may keep this process from running.
      handshakeTimeoutMs: 4_000,
      onConnectionState: (_connection, state, error) => {
        if (state === "closed") reasons.push(error?.code);
      },
    });
    const client = startClient({ handshake: v1, port: server.port });
    assert.equal(fromText(await client.request(text("served"))), "served");
    const peer = await RawPeer.connect(server.port);
    peer.write(new Uint8Array(1));
    await peer.ended();
    await waitFor(() => reasons.length === 1, "its end");
    assert.deepEqual(reasons, ["ERR_HANDSHAKE_TIMEOUT"]);
    assert.equal(server.droppedSockets, 0);
    await peer.destroy();
  };
  await Promise.all([undefined, broken].map(endsBegun));
});

test("an authorize() that is slow is not cut short, however many wait", async () => {
  const keys = generateKeyPair();
  const gate = deferred<void>();
  let asked = 0;
  const server = await startServer({
    staticKey: keys.privateKey,
    authorize: async () => {
      asked++;
      await gate.promise;
      return true;
    },
    onMessage: echo,
    maxHandshakes: 4,
    maxHandshakesPerAddress: 4,
  });
  const clients = Array.from({ length: 8 }, () =>
    startClient({ staticKey: generateKeyPair().privateKey, remoteStatic: keys.publicKey, port: server.port }),
  );
  const answers = Promise.all(clients.map((client) => client.request(text("x"))));
  await waitFor(() => asked === 4, "the first four");
  await sleep(400);
  gate.resolve();
  await answers;
  assert.equal(server.refusedConnections, 0);
});
