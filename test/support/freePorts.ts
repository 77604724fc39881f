// Ports for programs that need a fixed one. The system gives ports above 32,767 (Linux) or 49,151 to programs that
// connect or listen on any port, as tests in other processes do all the time. A port in that range that was free is
// taken a moment later.

import { createServer } from "node:net";

const [FIRST, LAST] = [12_000, 32_000];
const MAX_TRIES = 1_000;

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** One of them: for a port that nobody may listen on, or that a server gives up and takes again. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

/** So many ports of 127.0.0.1 that nobody listens on, none twice. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let i = 0; i < MAX_TRIES && ports.size < count; i++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count) throw new Error(`no ${count} free ports in ${MAX_TRIES} tries`);
  return [...ports];
}
