// Listens with each of the options that its argument lists, in a process that may not listen everywhere. Prints how each
// call ended; nothing of it may end the process.
import process from "node:process";
import { listen } from "../../dist/index.js";

const psk = "5e".repeat(32);
const outcomes = [];
for (const options of JSON.parse(process.argv.at(-1))) {
  try {
    const server = await listen({ psk, ...options });
    await server.close();
    outcomes.push("listened");
  } catch (error) {
    outcomes.push(error.code);
  }
}
console.log(JSON.stringify({ outcomes }));
