// A server that calls its clients: a request of the server's is answered by the client's handler.
import { connect, listen } from "sealwire";

const psk = crypto.getRandomValues(new Uint8Array(32));
const encode = (text) => new TextEncoder().encode(text);
const decode = (bytes) => new TextDecoder().decode(bytes);

const results = [];
const server = await listen({
  port: 0,
  psk,
  onMessage: async (message) => {
    // A worker says that it is ready; the server hands it one job after the other, and waits for each result.
    for (const job of ["2 + 3", "4 * 5"]) {
      results.push(decode(await message.connection.request(encode(job))));
    }
    message.reply(encode("no more jobs"));
  },
});

function work(job) {
  const [a, operation, b] = job.split(" ");
  return operation === "+" ? Number(a) + Number(b) : Number(a) * Number(b);
}

const worker = connect({
  port: server.port,
  psk,
  onMessage: (message) => message.reply(encode(String(work(decode(message.body))))),
});
console.log(decode(await worker.request(encode("ready"))));
console.log(results.join(", "));

await worker.close();
await server.close();
