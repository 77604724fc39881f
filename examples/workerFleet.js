// Workers dial a coordinator and say that they are free; the coordinator calls them back with jobs. A worker that leaves
// in the middle of a job costs that job another attempt, because this kind of job may run twice.
import { connect, listen } from "sealwire";

const psk = crypto.getRandomValues(new Uint8Array(32));
const encode = (value) => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes) => JSON.parse(new TextDecoder().decode(bytes));

const COUNT = 12;
const jobs = Array.from({ length: COUNT }, (_, i) => i + 1);
const results = new Map();
let allDone;
const done = new Promise((resolve) => {
  allDone = resolve;
});
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Gives one worker jobs until all are done, or until it is gone. */
async function employ(connection) {
  while (results.size < COUNT) {
    const job = jobs.shift();
    if (job === undefined) {
      await pause(1); // another worker may still give one back
      continue;
    }
    try {
      results.set(job, decode(await connection.request(encode(job))));
    } catch {
      jobs.push(job);
      return;
    }
  }
  allDone();
}

const coordinator = await listen({
  port: 0,
  psk,
  onMessage: (message) => {
    message.reply(encode("welcome"));
    employ(message.connection);
  },
});

function startWorker(leavesAfter) {
  let worked = 0;
  const worker = connect({
    port: coordinator.port,
    psk,
    onMessage: async (message) => {
      await pause(1);
      if (++worked > leavesAfter) throw new Error("out of order");
      message.reply(encode(decode(message.body) ** 2));
    },
    onHandlerError: () => {},
  });
  return { worker, free: worker.request(encode("free")) };
}

const fleet = [startWorker(2), startWorker(Infinity), startWorker(Infinity)];
await Promise.all(fleet.map(({ free }) => free));
await done;
console.log([...results].sort(([a], [b]) => a - b).map(([, square]) => square).join(" "));

for (const { worker } of fleet) await worker.close();
await coordinator.close();
