// Finds out which cipher suite a TLS row used. For one connection the bench stands between client and server and reads
// the ServerHello, which TLS 1.3 sends in the clear (RFC 8446 section 4.1.3). The method is the same for every runtime
// and needs no API of the runtime.
import net from "node:net";

const SUITES = new Map([
  [0x1301, "TLS_AES_128_GCM_SHA256"],
  [0x1302, "TLS_AES_256_GCM_SHA384"],
  [0x1303, "TLS_CHACHA20_POLY1305_SHA256"],
]);
const HANDSHAKE_RECORD = 22;
const SERVER_HELLO = 2;
// Record header 5, handshake header 4, legacy_version 2, random 32.
const SESSION_ID_LENGTH_AT = 43;

/** @returns {string | undefined} the suite's name, undefined until the bytes hold a ServerHello */
export function suiteOf(bytes) {
  if (bytes.length <= SESSION_ID_LENGTH_AT) return undefined;
  if (bytes[0] !== HANDSHAKE_RECORD || bytes[5] !== SERVER_HELLO) return undefined;
  const at = SESSION_ID_LENGTH_AT + 1 + bytes[SESSION_ID_LENGTH_AT];
  if (bytes.length < at + 2) return undefined;
  const code = (bytes[at] << 8) | bytes[at + 1];
  return SUITES.get(code) ?? `0x${code.toString(16)}`;
}

/** Lets `dial(port)` connect to the server through a proxy, and returns the suite that was chosen. */
export async function observedSuite(serverPort, dial) {
  let hello = Buffer.alloc(0);
  const sockets = [];
  const proxy = net.createServer((downstream) => {
    const upstream = net.connect(serverPort, "127.0.0.1");
    sockets.push(downstream, upstream);
    for (const socket of [downstream, upstream]) socket.on("error", () => {});
    upstream.on("data", (chunk) => {
      if (suiteOf(hello) === undefined) hello = Buffer.concat([hello, chunk]);
    });
    downstream.pipe(upstream);
    upstream.pipe(downstream);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    await dial(proxy.address().port);
  } finally {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  }
  return suiteOf(hello) ?? "unknown";
}
