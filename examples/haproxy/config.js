// Writes the configuration of an HAProxy in front of sealwire servers: `node examples/haproxy/config.js > haproxy.cfg`.
// It balances TCP: it sees ciphertext only and needs no key. PROXY v2 tells the servers who the client is; their health
// responders tell HAProxy whether they want new connections.
import process from "node:process";
import { fileURLToPath } from "node:url";

/**
 * @param {{ front: number, backends: readonly { port: number, healthPort: number, host?: string }[] }} setup
 * @returns {string}
 */
export function haproxyConfig({ front, backends }) {
  const servers = backends.map(
    ({ host = "127.0.0.1", port, healthPort }, i) =>
      `  server server${i} ${host}:${port} send-proxy-v2 check port ${healthPort}`,
  );
  return `global
  maxconn 4000

defaults
  mode tcp
  timeout connect 2s
  # Longer than the servers' heartbeatIntervalMs (15 s), or quiet connections are cut.
  timeout client 1m
  timeout server 1m
  # A server that went between two checks: the connection is given to another one, before anything was sent.
  retries 3
  option redispatch 1

frontend clients
  bind 127.0.0.1:${front}
  default_backend sealwire

backend sealwire
  balance leastconn
  option httpchk GET /readyz
  # 503 (draining) takes a server out at the second check: graceMs has to be longer than inter × fall.
  default-server inter 300ms fall 2 rise 1
${servers.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const backends = [1, 2, 3].map((i) => ({ port: 7000 + i, healthPort: 8000 + i }));
  process.stdout.write(haproxyConfig({ front: 7000, backends }));
}
