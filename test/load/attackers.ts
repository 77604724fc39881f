// The attackers of `npm run attack`, in a process of their own: attackers.js NAME PORT PSK MS SOCKETS. They come from
// several addresses, none of them the good client's. The program prints the number of records, bytes or connections
// that it sent.

import process from "node:process";
import { noise } from "../../src/noise.ts";
import { u32Value } from "../../src/protocol/fields.ts";
import { encodeWithHead } from "../../src/protocol/head.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { RawPeer } from "../support/rawPeer.ts";
import { RawSession, record } from "../support/rawSession.ts";

const [name, portText, psk, msText, socketsText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const [port, ms, sockets] = [Number(portText), Number(msText), Number(socketsText)];
let until = performance.now() + ms;
const isOver = (): boolean => performance.now() > until;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sleep = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time));
const EMPTY = new Uint8Array(0);
const SESSIONS = 4;
const ADDRESSES = 20;
/** At once, where many are to be held. */
const OPENERS = 64;
/** The longest that opening them may take. */
const MOST_OPENING_MS = 20_000;
let sent = 0;
let dialled = 0;
/** Connections that were open at the end. */
let holding = 0;

const connect = (): Promise<RawPeer> => RawPeer.connect(port, `127.0.1.${1 + (dialled++ % ADDRESSES)}`);

/** So many at a time do this until the time is over; what the server ends begins again. */
async function repeat(times: number, once: () => Promise<void>): Promise<void> {
  const one = async (): Promise<void> => {
    while (!isOver()) {
      await once().catch(() => sleep(1));
      await turn();
    }
  };
  await Promise.all(Array.from({ length: times }, one));
}

/** Sessions of somebody with the psk, in which `next` says what is sent. */
function flood(next: (session: RawSession, round: number) => Uint8Array, reads = true): Promise<void> {
  return repeat(SESSIONS, async () => {
    const peer = await connect();
    const session = await RawSession.v2(peer, "client", psk);
    if (!reads) peer.socket.pause();
    for (let round = 0; !isOver() && !peer.socket.destroyed && !peer.socket.readableEnded; round++) {
      const bytes = next(session, round);
      sent++;
      if (!peer.socket.write(bytes)) {
        await Promise.race([new Promise((resolve) => peer.socket.once("drain", resolve)), sleep(50)]);
      }
      if (reads) peer.takeReceived();
      await turn();
    }
    session.destroy();
    peer.socket.destroy();
  });
}

const bundle = (session: RawSession, count: number, one: (i: number) => Uint8Array): Uint8Array =>
  session.sealBundle(...Array.from({ length: count }, (_, i) => one(i)));

/** Opens `sockets` connections, and opens another one for each that the server ends, until `ms` after all were opened. */
async function held(each: (peer: RawPeer) => Promise<void>): Promise<void> {
  const peers = new Set<RawPeer>();
  let dialling = 0;
  until += MOST_OPENING_MS;
  const openers = Array.from({ length: OPENERS }, async () => {
    while (!isOver()) {
      if (peers.size + dialling >= sockets) {
        await sleep(5);
        continue;
      }
      dialling++;
      const peer = await connect().catch(() => sleep(5));
      dialling--;
      if (peer === undefined) continue;
      peers.add(peer);
      peer.socket.once("close", () => peers.delete(peer));
      if (++sent === sockets) until = performance.now() + ms;
      each(peer).catch(() => {});
    }
  });
  await Promise.all(openers);
  holding = peers.size;
  for (const peer of peers) peer.socket.destroy();
}

function firstMessage(): Uint8Array {
  const handshake = noise({ psk }, "client").create("client", { remoteAddress: "" });
  const message = handshake.send()!.slice();
  handshake.destroy();
  return message;
}

const attacks: Record<string, () => Promise<void>> = {
  "silent connections": () => held(async () => {}),
  "silent connections, limits raised": () => held(async () => {}),
  "slow handshake bytes": () => {
    const message = firstMessage();
    return held(async (peer) => {
      for (let at = 0; at < message.length && !isOver(); at++) {
        peer.write(message.subarray(at, at + 1));
        await sleep(100);
      }
    });
  },
  "announced 4 GiB frames": () => flood((_session) => Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3)),
  "tiny frames": () => flood((session) => session.seal(0, EMPTY, Kind.pong)),
  "tiny bundles": () => flood((session) => bundle(session, 2, () => record(0, Kind.pong, EMPTY))),
  "large replies, never read": () =>
    flood((session, i) => session.seal(2 * i + 1, new TextEncoder().encode("large"), Kind.message), false),
  "flood of requests": () =>
    flood((session, i) => bundle(session, 100, (j) => record(2 * (100 * i + j) + 1, Kind.message, EMPTY))),
  "flood of cancels": () => {
    return flood((session, i) =>
      i === 0
        ? session.seal(1, EMPTY, Kind.message)
        : bundle(session, 200, () => record(1, Kind.cancel, EMPTY)),
    );
  },
  "flood of pings": () => flood((session) => bundle(session, 200, (i) => record(i + 1, Kind.ping, EMPTY))),
  "flood of settings": () =>
    flood((session) => session.seal(0, Uint8Array.of(1, 0, 4, 2, 0, 0, 0), Kind.settings)),
  "flood of credit": () =>
    flood((session) => bundle(session, 200, () => record(0, Kind.credit, u32Value(1)))),
  "flood of streams": () =>
    flood((session, i) => {
      const head = encodeWithHead({ method: "m", streams: true, streamCredit: 1 }, EMPTY);
      return bundle(session, 20, (j) => record(2 * (20 * i + j) + 1, Kind.call, head));
    }),
  "connects and resets": () =>
    repeat(16, async () => {
      const peer = await connect();
      sent++;
      peer.socket.resetAndDestroy();
    }),
  "replayed first messages": () => {
    const message = firstMessage();
    return repeat(16, async () => {
      const peer = await connect();
      peer.write(message);
      sent++;
      await peer.read(50).finally(() => peer.socket.destroy());
    });
  },
};

if (name === "names") console.log(JSON.stringify(Object.keys(attacks)));
else {
  await attacks[name]!();
  console.log(JSON.stringify({ sent, holding }));
}
process.exit(0);
