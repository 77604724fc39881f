// Counters for Prometheus, without a library: /metrics in its text format, made of `stats` at each scrape. (With an
// OpenTelemetry SDK and its Prometheus exporter, `observeStats` of sealwire/otel does the same.)
import { createServer } from "node:http";
import { connect, listen } from "sealwire";

/** What goes up and down; everything else in `stats` is a counter. */
const gauges = new Set(["connections", "inFlightRequests", "pendingBytes", "waitingSockets"]);

/** `stats` of clients and servers by name, as the text that Prometheus reads. */
function metricsOf(observed) {
  const families = new Map();
  for (const [name, { stats }] of Object.entries(observed)) {
    for (const [stat, value] of Object.entries(stats)) {
      if (typeof value !== "number") continue;
      const isGauge = gauges.has(stat);
      const snake = stat.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const family = `sealwire_${snake}${isGauge ? "" : "_total"}`;
      if (!families.has(family)) families.set(family, [`# TYPE ${family} ${isGauge ? "gauge" : "counter"}`]);
      families.get(family).push(`${family}{name="${name}"} ${value}`);
    }
  }
  const lines = [...families.keys()].sort().flatMap((family) => families.get(family));
  return `${lines.join("\n")}\n`;
}

const psk = crypto.getRandomValues(new Uint8Array(32));
const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
const client = connect({ port: server.port, psk });
const metrics = createServer((_request, response) => {
  response.setHeader("content-type", "text/plain; version=0.0.4");
  response.end(metricsOf({ api: server, jobs: client }));
});
await new Promise((listening) => metrics.listen(0, "127.0.0.1", listening));

for (let i = 0; i < 3; i++) await client.request(new Uint8Array(10));
const scraped = await (await fetch(`http://127.0.0.1:${metrics.address().port}/metrics`)).text();
for (const line of scraped.split("\n")) if (/connections|requests_total/.test(line)) console.log(line);

metrics.closeAllConnections();
metrics.close();
await client.close();
await server.close();
