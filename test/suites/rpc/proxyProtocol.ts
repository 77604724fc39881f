// The PROXY protocol in front of a server: which bytes count as a header, which senders are trusted, and that limits,
// `authorize` and `remoteAddress` use the address of the header.

import assert from "node:assert/strict";
import * as net from "node:net";
import { generateKeyPair } from "../../../src/index.ts";
import { AddressRanges } from "../../../src/rpc/addressRange.ts";
import { type ProxyHeader, readProxyHeader } from "../../../src/rpc/proxyHeader.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  echo,
  rejectsWith,
  startClient,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

const proxies: net.Server[] = [];
const sockets = new Set<net.Socket>();
onAfterEachTest(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(proxies.splice(0).map((proxy) => new Promise<void>((done) => proxy.close(() => done()))));
});
checkLeaksAfterEachTest();

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

function binaryHeader(command: number, family: number, body: number[], announced = body.length): Uint8Array {
  return Uint8Array.from([...SIGNATURE, 0x20 | command, family, announced >>> 8, announced & 0xff, ...body]);
}

const ports = [0x12, 0x34, 0x1b, 0x59];
const binaryV4 = (last: number) => binaryHeader(1, 0x11, [192, 0, 2, last, 10, 0, 0, 1, ...ports]);
const ipv6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const binaryV6 = binaryHeader(1, 0x21, [...ipv6, ...ipv6, ...ports]);
const local = binaryHeader(0, 0x00, []);

/** 107 bytes with their end. */
function longestLine(): Uint8Array {
  const line = new Uint8Array(107).fill(0x20);
  line.set(text("PROXY UNKNOWN"));
  line.set([0x0d, 0x0a], 105);
  return line;
}

// ---- The header itself --------------------------------------------------------------------------------------

const goodHeaders: [name: string, header: Uint8Array, address: string | undefined][] = [
  ["TCP4", text("PROXY TCP4 192.0.2.7 10.0.0.1 4660 7001\r\n"), "192.0.2.7"],
  ["TCP6", text("PROXY TCP6 2001:db8::7 ::1 4660 7001\r\n"), "2001:db8::7"],
  ["TCP6 in full", text("PROXY TCP6 2001:0DB8:0:0:0:0:0:7 ::1 4660 7001\r\n"), "2001:db8::7"],
  ["TCP6 with a dotted tail", text("PROXY TCP6 64:FF9B::192.0.2.7 ::1 4660 7001\r\n"), "64:ff9b::c000:207"],
  ["TCP6, mapped", text("PROXY TCP6 0::FFFF:c000:0207 ::1 4660 7001\r\n"), "::ffff:192.0.2.7"],
  ["UNKNOWN", text("PROXY UNKNOWN\r\n"), undefined],
  ["UNKNOWN with text", text("PROXY UNKNOWN ff:f::1 whatever 9 9\r\n"), undefined],
  ["the longest line", longestLine(), undefined],
  ["binary IPv4", binaryV4(7), "192.0.2.7"],
  ["binary IPv6", binaryV6, "2001:db8::7"],
  [
    "binary with extensions",
    binaryHeader(1, 0x11, [192, 0, 2, 8, 10, 0, 0, 1, ...ports, 4, 0, 1, 9]),
    "192.0.2.8",
  ],
  // What extensions say of their own lengths is not read: the header's length alone decides where it ends.
  [
    "an extension that says it is longer than the header",
    binaryHeader(1, 0x11, [192, 0, 2, 8, 10, 0, 0, 1, ...ports, 4, 0xff, 0xff, 9]),
    "192.0.2.8",
  ],
  ["half an extension", binaryHeader(1, 0x11, [192, 0, 2, 8, 10, 0, 0, 1, ...ports, 4, 0]), "192.0.2.8"],
  [
    "the longest binary header",
    binaryHeader(1, 0x11, [192, 0, 2, 9, ...new Array(4_092).fill(0)]),
    "192.0.2.9",
  ],
  [
    "mapped",
    binaryHeader(1, 0x21, [...new Array(10).fill(0), 255, 255, 1, 2, 3, 4, ...ipv6, ...ports]),
    "::ffff:1.2.3.4",
  ],
  ["LOCAL", local, undefined],
  ["LOCAL with an address", binaryHeader(0, 0x11, [1, 2, 3, 4, 5, 6, 7, 8, ...ports]), undefined],
  ["binary, not told", binaryHeader(1, 0x00, []), undefined],
  ["binary, a Unix socket", binaryHeader(1, 0x31, new Array(216).fill(47)), undefined],
];
for (const [name, header, address] of goodHeaders) {
  test(`a header is read at every split: ${name}`, () => {
    for (let length = 0; length < header.length; length++) {
      assert.equal(readProxyHeader(header.subarray(0, length)), "more", `${length} bytes`);
    }
    for (const rest of [0, 1, 200]) {
      const received = new Uint8Array(header.length + rest).fill(0x0d);
      received.set(header);
      const read = readProxyHeader(received) as ProxyHeader;
      assert.deepEqual(read, { bytes: header.length, address });
    }
  });
}

const badHeaders: [name: string, header: Uint8Array][] = [
  ["another protocol", text("GET / HTTP/1.1\r\n")],
  ["no space", text("PROXYTCP4")],
  ["an unknown family", text("PROXY TCP5 192.0.2.7 10.0.0.1 1 2\r\n")],
  ["no family", text("PROXY \r\n")],
  ["half an address", text("PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n")],
  ["a leading zero", text("PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n")],
  ["a large octet", text("PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n")],
  ["IPv6 as TCP4", text("PROXY TCP4 ::1 ::1 1 2\r\n")],
  ["IPv4 as TCP6", text("PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n")],
  ["a zone", text("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n")],
  ["two runs of zeros", text("PROXY TCP6 1::2::3 ::1 1 2\r\n")],
  ["a bad dotted tail", text("PROXY TCP6 ::ffff:1.2.3.999 ::1 1 2\r\n")],
  ["a dotted head", text("PROXY TCP6 1.2.3.4::1.2.3.4 ::1 1 2\r\n")],
  ["a dotted middle", text("PROXY TCP6 1::1.2.3.4:5 ::1 1 2\r\n")],
  ["an octet as long as a group", text("PROXY TCP6 1.65000.1.1::1.2.3.4 ::1 1 2\r\n")],
  ["a leading zero in a dotted tail", text("PROXY TCP6 ::ffff:1.2.3.04 ::1 1 2\r\n")],
  ["a colon at the end", text("PROXY TCP6 1:2:3:4:5:6:7: ::1 1 2\r\n")],
  ["a colon at the beginning", text("PROXY TCP6 :1:2:3:4:5:6:7 ::1 1 2\r\n")],
  ["three colons", text("PROXY TCP6 1:::2 ::1 1 2\r\n")],
  ["nine groups", text("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n")],
  ["eight groups and zeros", text("PROXY TCP6 1:2:3:4::5:6:7:8 ::1 1 2\r\n")],
  ["a missing port", text("PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n")],
  ["a field more", text("PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n")],
  ["a large port", text("PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n")],
  ["a signed port", text("PROXY TCP4 192.0.2.7 10.0.0.1 -1 2\r\n")],
  ["two spaces", text("PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n")],
  ["no line feed", text("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\rX")],
  ["an endless line", text(`PROXY UNKNOWN ${"x".repeat(200)}`)],
  ["a line of 108 bytes", text(`${"PROXY UNKNOWN".padEnd(106)}\r\n`)],
  ["version 3", Uint8Array.from([...SIGNATURE, 0x31, 0x11, 0, 0])],
  ["command 2", binaryHeader(2, 0x11, [])],
  ["too long", binaryHeader(1, 0x11, [], 4_097)],
  ["IPv4, too short", binaryHeader(1, 0x11, [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9])],
  ["IPv6, too short", binaryHeader(1, 0x21, ipv6)],
  ["datagrams", binaryHeader(1, 0x12, [1, 2, 3, 4, 5, 6, 7, 8, ...ports])],
  ["a half signature", Uint8Array.from([...SIGNATURE.slice(0, 11), 0x0b])],
];

for (const [name, header] of badHeaders) {
  test(`it is no header: ${name}`, () => {
    assert.equal(readProxyHeader(header), "invalid");
  });
}

test("ranges of addresses: prefixes of every length, IPv4 also mapped", () => {
  const trusted = new AddressRanges("trusted", ["10.0.0.0/8", "192.0.2.7", "2001:db8:ff00::/40", "::1"]);
  for (const inside of [
    "10.0.0.0",
    "10.255.255.255",
    "::ffff:10.1.2.3",
    "192.0.2.7",
    "2001:db8:ffaa::1",
    "::1",
  ])
    assert.equal(trusted.includes(inside), true, inside);
  for (const outside of [
    "11.0.0.0",
    "9.255.255.255",
    "192.0.2.8",
    "2001:db9::1",
    "2001:db8:fe00::",
    "::2",
    "",
    "x",
  ])
    assert.equal(trusted.includes(outside), false, outside);
  for (let bits = 0; bits <= 32; bits++) {
    const range = new AddressRanges("trusted", [`255.255.255.255/${bits}`]);
    for (let flipped = 0; flipped < 32; flipped++) {
      const value = (0xffffffff ^ (0x80000000 >>> flipped)) >>> 0;
      const address = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
      assert.equal(range.includes(address), flipped >= bits, `${address}/${bits}`);
    }
  }
  assert.equal(new AddressRanges("trusted", ["unix"]).includes(""), true);
  for (const wrong of [
    [],
    ["10.0.0.0/33"],
    ["::/129"],
    ["10.0.0/8"],
    ["x"],
    ["10.0.0.0/08"],
    ["1.2.3.4/8/8"],
    [""],
    [7],
    "::1",
  ])
    throwsWith(() => new AddressRanges("trusted", wrong as string[]), "ERR_INVALID_ARGUMENT");
});

// ---- In front of a server -----------------------------------------------------------------------------------

/** A proxy that says `header`, in pieces of `pieceBytes`, before what the client says. Returns its port. */
async function startProxy(port: number, header: () => Uint8Array, pieceBytes = 4_096): Promise<number> {
  const proxy = net.createServer(async (client) => {
    const server = net.connect(port, "127.0.0.1");
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        (socket === client ? server : client).destroy();
      });
    }
    const bytes = header();
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await new Promise((written) =>
        server.write(bytes.subarray(at, at + pieceBytes), () => setTimeout(written, 1)),
      );
    }
    client.pipe(server);
    server.pipe(client);
  });
  proxies.push(proxy);
  await new Promise<void>((listening) => proxy.listen(0, "127.0.0.1", () => listening()));
  return (proxy.address() as net.AddressInfo).port;
}

const trusting = { proxyProtocol: { trusted: ["127.0.0.1"] } };

for (const [name, header, address] of goodHeaders.filter(([, { length }]) => length < 300)) {
  test(`the address that a trusted proxy tells counts: ${name}`, async () => {
    const asked: string[] = [];
    const keys = { server: generateKeyPair(), client: generateKeyPair() };
    const server = await startServer({
      ...trusting,
      staticKey: keys.server,
      authorize: (_key, info) => {
        asked.push(info.remoteAddress);
        return true;
      },
      onMessage: (message) => message.reply(text(message.connection.remoteAddress)),
    });
    const port = await startProxy(server.port, () => header, header.length > 60 ? 40 : 1);
    const client = startClient({ port, staticKey: keys.client });
    const seen = new TextDecoder().decode(await client.request(text("who am I?")));
    assert.equal(seen, address ?? "127.0.0.1");
    assert.deepEqual(asked, [seen]);
    assert.equal(server.connections[0]!.remoteAddress, seen);
  });
}

test("header and first message in two pieces, split at every byte of the header and behind it", async () => {
  const server = await startServer({
    ...v2.options,
    ...trusting,
    maxConnectionsPerAddress: 512,
    onMessage: (message) => message.reply(text(message.connection.remoteAddress)),
  });
  const header = new TextEncoder().encode("PROXY TCP4 198.51.100.9 10.0.0.1 4711 443\r\n");
  for (let split = 1; split <= header.length + 6; split++) {
    const peer = await RawPeer.connect(server.port);
    const { socket } = peer;
    const write = socket.write.bind(socket);
    // The session writes its first message in one piece: the header goes before it.
    let first = true;
    socket.write = ((bytes: Uint8Array) => {
      if (!first) return write(bytes);
      first = false;
      const joined = new Uint8Array([...header, ...bytes]);
      setTimeout(() => write(joined.subarray(split)), 2);
      return write(joined.subarray(0, split));
    }) as typeof socket.write;
    const session = await v2.rawSession(peer, "client");
    socket.write(session.seal(1, text("who am I?")));
    const { body } = await session.receive();
    assert.equal(new TextDecoder().decode(body), "198.51.100.9", `split at ${split}`);
    session.destroy();
    await peer.destroy();
  }
  assert.equal(server.badProxyHeaders, 0);
});

test("who is not trusted is a client like any other, and its header is no handshake", async () => {
  const server = await startServer({
    ...v2.options,
    proxyProtocol: { trusted: ["192.0.2.1"] },
    onMessage: echo,
  });
  const direct = startClient({ ...v2.options, port: server.port });
  await direct.request(text("x"));
  const through = startClient({ ...v2.options, port: await startProxy(server.port, () => binaryV4(7)) });
  await rejectsWith(through.request(text("x")), "ERR_HANDSHAKE");
  assert.equal(server.connections.length, 1);
});

test("who is trusted owes a header: without one it is closed and counted, and nobody is told", async () => {
  const states: string[] = [];
  const server = await startServer({
    ...v2.options,
    ...trusting,
    onMessage: echo,
    onConnectionState: (_connection, state) => states.push(state),
  });
  const client = startClient({ ...v2.options, port: server.port });
  await rejectsWith(client.request(text("x")), "ERR_HANDSHAKE");
  await waitFor(() => server.badProxyHeaders === 1, "the bad header to be counted");
  await waitFor(() => server.droppedSockets === 1, "the socket to be gone");
  assert.equal(server.probes, 0);
  assert.deepEqual(states, []);
});

test("limits per address go by what the proxy tells", async () => {
  const server = await startServer({
    ...v2.options,
    ...trusting,
    maxConnectionsPerAddress: 1,
    maxConnectionWaitMs: 0,
    onMessage: echo,
  });
  let last = 1;
  const port = await startProxy(server.port, () => binaryV4(last));
  for (last = 1; last <= 3; last++) await startClient({ ...v2.options, port }).request(text("x"));
  assert.equal(server.connections.length, 3);
  last = 2;
  await rejectsWith(startClient({ ...v2.options, port }).request(text("x")), "ERR_HANDSHAKE");
  assert.equal(server.refusedConnections, 1);
  assert.equal(server.connections.length, 3);
});

test("silent sockets behind a proxy take the room of their own address only", async () => {
  // One address may have half of 8.
  const server = await startServer({ ...v2.options, ...trusting, maxWaitingSockets: 8, onMessage: echo });
  let last = 1;
  const port = await startProxy(server.port, () => binaryV4(last));
  const silent = (address: number) => {
    last = address;
    const socket = net.connect(port, "127.0.0.1");
    sockets.add(socket);
    socket.on("error", () => {});
    return socket;
  };
  silent(2);
  await waitFor(() => server.waitingSockets === 1, "the other's socket");
  for (let i = 1; i <= 6; i++) {
    silent(1);
    const settled = () => server.waitingSockets + server.droppedSockets === i + 1;
    await waitFor(settled, "the socket to count");
  }
  await waitFor(() => server.droppedSockets === 2, "two of six to go");
  assert.equal(server.waitingSockets, 5);
  last = 3;
  await startClient({ ...v2.options, port }).request(text("x"));
});

test("a header that does not come, or not to its end, is bounded in time", async () => {
  const server = await startServer({ ...v2.options, ...trusting, handshakeTimeoutMs: 60, onMessage: echo });
  for (const header of [new Uint8Array(0), binaryV4(7).subarray(0, 20), text("PROXY TCP4 1")]) {
    const socket = net.connect(server.port, "127.0.0.1");
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write(header);
    await new Promise<void>((closed) => socket.resume().on("close", () => closed()));
    sockets.delete(socket);
  }
  await waitFor(() => server.droppedSockets === 3, "all to be dropped");
  assert.equal(server.probes, 0);
});

test("probes that connect and close are counted and not told", async () => {
  const states: string[] = [];
  const server = await startServer({
    ...v2.options,
    ...trusting,
    onMessage: echo,
    onConnectionState: (_connection, state) => states.push(state),
  });
  let expected = 0;
  for (const header of [new Uint8Array(0), local, binaryV4(1)]) {
    for (const how of ["end", "destroy", "reset"] as const) {
      const socket = net.connect(server.port, "127.0.0.1");
      await new Promise<void>((connected) => socket.on("connect", () => connected()));
      if (header.length > 0) await new Promise<void>((written) => socket.write(header, () => written()));
      await waitFor(() => server.waitingSockets === 1, "the probe to be accepted");
      if (how === "end") socket.resume().end();
      else if (how === "reset") socket.resetAndDestroy?.() ?? socket.destroy();
      else socket.destroy();
      expected++;
      await waitFor(() => server.probes === expected, `a probe that leaves by ${how}`);
      await waitFor(() => server.waitingSockets === 0, "the probe to leave");
      socket.destroy();
    }
  }
  assert.deepEqual(states, []);
  assert.equal(server.badProxyHeaders, 0);
});

test("options that are none are refused", async () => {
  for (const proxyProtocol of [
    {},
    { trusted: [] },
    { trusted: ["x"] },
    { trusted: ["::1"], more: 1 },
    null,
    true,
  ]) {
    const options = { ...v2.options, port: 0, proxyProtocol: proxyProtocol as { trusted: string[] } };
    const error = await rejectsWith(startServer(options), "ERR_INVALID_ARGUMENT");
    assert.match(error.message, /trusted|proxyProtocol|more/);
  }
});
