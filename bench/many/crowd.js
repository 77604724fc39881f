// A crowd of clients of one server that keep their connections: `node bench/many/crowd.js '<JSON>'` with `port`, `psk`
// and `count`. It prints a line when all are connected, and again each time that all are connected after a loss. The
// line has the times (Date.now()) at which each connection opened.
import process from "node:process";
import { connect } from "../../dist/index.js";

const { port, psk, count } = JSON.parse(process.argv[2]);
const print = (entry) => console.log(JSON.stringify(entry));
let open = 0;
let openedAt = [];
let dials = 0;

const onConnectionState = (_connection, state, error) => {
  if (state === "open") {
    open++;
    openedAt.push(Date.now());
    if (open === count) {
      print({ openedAt, failedDials: dials });
      openedAt = [];
      dials = 0;
    }
  } else if (state === "closed" && error !== undefined && !["ERR_CONNECTION_LOST"].includes(error.code))
    dials++;
};
/** Whoever drains or loses a connection is not open any more; a connection that drains closes later. */
const counted = new WeakSet();
const clients = Array.from({ length: count }, () =>
  connect({
    port,
    psk,
    maxConnections: 1,
    keepConnected: true,
    // A thousand handshakes of one process take their time on a busy machine.
    handshakeTimeoutMs: 60_000,
    onConnectionState: (connection, state, error) => {
      if (state === "open") counted.add(connection);
      else if (counted.delete(connection)) open--;
      onConnectionState(connection, state, error);
    },
  }),
);
process.once("SIGTERM", async () => {
  await Promise.all(clients.map((client) => client.close()));
  process.exit(0);
});
