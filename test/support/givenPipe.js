// Listens on descriptor 3, which is a pipe of the process that started it: `<runtime> test/support/givenPipe.js`. Prints
// why that failed, and whether the pipe is still open.
import { statSync } from "node:fs";
import { listen } from "../../dist/index.js";

/** Its number in the file system; undefined if it is closed. */
function pipe() {
  try {
    const stat = statSync("/dev/fd/3");
    return stat.isFIFO() ? stat.ino : undefined;
  } catch {
    return undefined;
  }
}

const before = pipe();
const failure = await listen({ fd: 3, psk: "5e".repeat(32), onMessage() {} }).catch((error) => error);
// A runtime may close it in a later turn.
await new Promise((resolve) => setTimeout(resolve, 20));
console.log(JSON.stringify({ code: failure.code, wasOpen: before !== undefined, isOpen: pipe() === before }));
