// A client in a process of its own that calls all the time: `<runtime> test/support/networkClient.js '<JSON>'`, with
// the options of connect, and `addresses` (the addresses of names) and `pauseMs` (between calls). For every call it
// prints the times of its beginning and its end (Date.now()), and who answered or the error's code. SIGTERM ends it;
// then it prints the number of calls that did not settle.
import process from "node:process";
import { connect } from "../../dist/index.js";

const print = (entry) => console.log(JSON.stringify(entry));
const { addresses, pauseMs = 10, ...options } = JSON.parse(process.argv.at(-1));
const client = connect({ ...options, ...(addresses && { resolve: () => addresses }) });

const MOST_IN_FLIGHT = 256;
const decoder = new TextDecoder();
let running = true;
let pending = 0;
process.once("SIGTERM", () => {
  running = false;
});

async function call() {
  const began = Date.now();
  pending++;
  try {
    const answer = decoder.decode(await client.request(new Uint8Array(1)));
    print({ answer: Number(answer), began, ended: Date.now() });
  } catch ({ code }) {
    print({ error: code, began, ended: Date.now() });
  }
  pending--;
}

while (running) {
  if (pending < MOST_IN_FLIGHT) void call();
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
await client.close();
print({ pending });
