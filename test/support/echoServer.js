// A server in a process of its own: `<runtime> test/support/echoServer.js '<options of listen as JSON>'`. Answers with
// its process id; "slow" after 200 ms. Prints its ports, then its health. SIGTERM closes it; GRACE_MS is its grace.
import process from "node:process";
import { closeOnSignal, listen } from "../../dist/index.js";

const print = (entry) => console.log(JSON.stringify(entry));
const answer = new TextEncoder().encode(`${process.pid}`);

const server = await listen({
  ...JSON.parse(process.argv.at(-1)),
  onHealth: (health) => print({ health }),
  onMessage: async (message) => {
    if (message.body.length === 4) await new Promise((resolve) => setTimeout(resolve, 200));
    message.reply(answer);
  },
});
closeOnSignal(server, { graceMs: Number(process.env.GRACE_MS ?? 0) });
print({ port: server.port, healthPort: server.healthPort });
