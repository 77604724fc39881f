// A server as it runs in production: `<node, bun or deno run -A> examples/server.js`, configured by the environment.
// PORT (7001), HOST (0.0.0.0), HEALTH_PORT (8080), PSK, PSK_OTHERS (separated by commas), GRACE_MS, DRAIN_MS and
// TRUSTED_PROXIES (separated by commas). With LISTEN_FDS=1 from systemd it listens on the socket that it inherited.
// In a program of your own the import is from "sealwire".
import process from "node:process";
import { closeOnSignal, listen } from "../dist/index.js";

const { env } = process;
const list = (text) => (text ? text.split(",") : undefined);
const number = (text, otherwise) => (text === undefined ? otherwise : Number(text));

/** systemd passes sockets from descriptor 3 on to the process whose id is LISTEN_PID. */
const inherited = env.LISTEN_FDS === "1" && Number(env.LISTEN_PID) === process.pid;
const address = inherited ? { fd: 3 } : { host: env.HOST ?? "0.0.0.0", port: number(env.PORT, 7001) };
const others = list(env.PSK_OTHERS);
const trusted = list(env.TRUSTED_PROXIES);

const server = await listen({
  ...address,
  ...(env.PSK ? { psk: env.PSK } : {}),
  ...(others ? { otherPsks: others } : {}),
  ...(trusted ? { proxyProtocol: { trusted } } : {}),
  health: { host: "0.0.0.0", port: number(env.HEALTH_PORT, 8080) },
  drainTimeoutMs: number(env.DRAIN_MS, 10_000),
  maxConnectionAgeMs: 600_000,
  onHealth: (health) => console.log(JSON.stringify({ health })),
  onMessage: (message) => message.reply(message.body),
});
closeOnSignal(server, { graceMs: number(env.GRACE_MS, 5_000) });
console.log(JSON.stringify({ port: server.port, healthPort: server.healthPort }));
