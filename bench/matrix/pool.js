// The processes of a run: one server and one client per contender and runtime. They are started when first needed and
// kept, so that every round meets warm processes. A pair that fails once is left out from then on, and is reported.
import { belongsTo, contenders, whyNot } from "./contenders/contender.js";
import { BenchProcess } from "./processes.js";
import { wanted } from "./settings.js";

export class ProcessPool {
  constructor({ runtimes, credentials, filters, failures }) {
    this.runtimes = runtimes.filter(({ id }) => wanted(filters.runtimes, id));
    this.contenders = contenders.filter(({ id }) => wanted(filters.contenders, id));
    this.credentials = credentials;
    this.failures = failures;
    this.processes = new Map();
    this.servers = new Map();
    this.clients = new Map();
    this.broken = new Set();
  }

  /** Same-runtime pairs of these contenders, without those that cannot run or failed. */
  pairs(contenderIds) {
    return this.contenders
      .filter(({ id }) => contenderIds.includes(id))
      .flatMap((contender) =>
        this.runtimes.map((runtime) => ({ contender, client: runtime, server: runtime })),
      )
      .filter(
        ({ contender, client }) => belongsTo(contender.id, client.id) && this.#canRun(contender, client),
      );
  }

  /** Every pair of two different runtimes. */
  crossPairs(contenderId) {
    const contender = this.contenders.find(({ id }) => id === contenderId);
    if (contender === undefined) return [];
    return this.runtimes.flatMap((server) =>
      this.runtimes.filter((client) => client !== server).map((client) => ({ contender, client, server })),
    );
  }

  #canRun(contender, runtime) {
    const reason = whyNot(contender.id, runtime.id);
    if (reason !== undefined) this.fail(`${contender.label} in ${runtime.label}`, reason);
    return reason === undefined;
  }

  fail(what, reason) {
    if (this.broken.has(what)) return;
    this.broken.add(what);
    this.failures.push({ what, reason: String(reason?.message ?? reason) });
  }

  /** Starts what is missing and connects. The group of connections is named after the server's runtime. */
  async connect({ contender, client, server }) {
    const port = await this.#serverPort(contender, server);
    const key = `${contender.id} ${client.id} ${server.id}`;
    let opening = this.clients.get(key);
    if (opening === undefined) {
      const clientProcess = this.process("client", contender.id, client);
      const endpoint = { port, credentials: this.credentials };
      opening = clientProcess.call("connect", { endpoint, name: server.id });
      this.clients.set(key, opening);
    }
    await opening;
    return {
      name: server.id,
      port,
      client: this.process("client", contender.id, client),
      server: this.process("server", contender.id, server),
    };
  }

  #serverPort(contender, runtime) {
    const key = `${contender.id} ${runtime.id}`;
    let listening = this.servers.get(key);
    if (listening === undefined) {
      const endpoint = { credentials: this.credentials };
      listening = this.process("server", contender.id, runtime)
        .call("listen", { endpoint })
        .then(({ port }) => port);
      this.servers.set(key, listening);
    }
    return listening;
  }

  process(role, contenderId, runtime) {
    const key = `${role} ${contenderId} ${runtime.id}`;
    let process = this.processes.get(key);
    if (process === undefined) {
      process = new BenchProcess(runtime, contenderId);
      this.processes.set(key, process);
    }
    return process;
  }

  async stop() {
    await Promise.all([...this.processes.values()].map((process) => process.stop()));
  }
}
