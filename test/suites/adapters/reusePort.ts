// The trial of shared ports: what it keeps, and that nobody can hinder it. Listeners that share a port are tested with
// processes (test/processes.test.ts).

import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { checkedAddress } from "../../../src/adapters/listenAddress.ts";
import { PortTrial } from "../../../src/adapters/reusePort.ts";
import { onAfterEachTest, runtimeId, test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, rejectsWith } from "../../support/rpcHarness.ts";

type Listen = (this: net.Server, where: { port: number }, done: () => void) => net.Server;
const prototype = net.Server.prototype as unknown as { listen: Listen };
const { listen } = prototype;
checkLeaksAfterEachTest();
onAfterEachTest(() => {
  prototype.listen = listen;
});

const address = { host: "127.0.0.1", port: 7_001, reusePort: true };

/** What the trial says when nothing hinders it. */
async function checkOutcome(trial: PortTrial): Promise<void> {
  if (runtimeId !== "node20") assert.deepEqual(await checkedAddress(address, trial), address);
  else
    assert.match(
      String((await rejectsWith(checkedAddress(address, trial), "ERR_UNSUPPORTED")).cause),
      /EADDRINUSE/,
    );
}

for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  for (const isRefused of [(port: number) => port === 0, (port: number) => port !== 0]) {
    const which = isRefused(0) ? "first" : "second";
    test(`a trial whose ${which} listener gets ${code} has failed to listen, and the next call tries again`, async () => {
      const trial = new PortTrial();
      prototype.listen = function (where, done) {
        if (!isRefused(where.port)) return listen.call(this, where, done);
        queueMicrotask(() => this.emit("error", Object.assign(new Error(`listen ${code}`), { code })));
        return this;
      };
      for (let i = 0; i < 2; i++) {
        const error = await rejectsWith(checkedAddress(address, trial), "ERR_LISTEN_FAILED");
        assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:7001: .*${code}`));
        assert.equal((error.cause as { code?: string }).code, code);
      }
      prototype.listen = listen;
      await checkOutcome(trial);
    });
  }
}

test("a trial that has succeeded is not made again; calls that come during a trial wait for it", async () => {
  const trial = new PortTrial();
  let listeners = 0;
  prototype.listen = function (where, done) {
    listeners++;
    return listen.call(this, where, done);
  };
  await Promise.all([checkOutcome(trial), checkOutcome(trial)]);
  assert.equal(listeners, 2);
  await checkOutcome(trial);
  assert.equal(listeners, runtimeId === "node20" ? 4 : 2);
});

test("somebody who connects to the port of the trial and stays does not hinder it", async () => {
  const visitors: net.Socket[] = [];
  prototype.listen = function (where, done) {
    // Of two listeners on one port, either may be given the visitor.
    if (where.port !== 0) return listen.call(this, where, done);
    return listen.call(this, where, async () => {
      const visitor = net.connect((this.address() as net.AddressInfo).port, "127.0.0.1");
      visitors.push(visitor);
      visitor.on("error", () => {});
      await once(this, "connection");
      done();
    });
  };
  await checkOutcome(new PortTrial());
  assert.equal(visitors.length, 1);
  for (const visitor of visitors) visitor.destroy();
});
