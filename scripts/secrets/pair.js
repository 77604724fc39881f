// Runs test/load/secretsPeer.ts as a server in one runtime and as a client in another, and sorts what each found in its memory.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Where the peer is bundled to. */
export const peerFolder = fileURLToPath(new URL("../../build/secrets", import.meta.url));
const program = `${peerFolder}/load/secretsPeer.js`;

/** None so short that a runtime's collector would move the application's copies. */
const LENGTHS = [1_100, 3_000, 30_000, 300_000];
const MARKER_BYTES = 64;
const PSK_BYTES = 32;
/** An end that says nothing for so long hangs. */
const ANSWER_MS = 60_000;
/** Less of its own memory than this was not looked at. */
const LEAST_LOOKED_AT = 0.9;
/** Registers that V8 saved and freed: so much of what was copied last (docs/SECURITY.md). */
const REGISTER_BYTES = 32;

/** A secret as two halves of which neither says anything of it: no process but one that puts them together has it. */
function halves(name, length) {
  return { name, left: randomBytes(length).toString("hex"), right: randomBytes(length).toString("hex") };
}

class End {
  #lines;

  constructor(runtime, role, setup) {
    this.process = spawn(runtime.path, [...runtime.args, program, role], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.process.stdin.on("error", () => {}); // the next answer that is missing says it
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    this.goOn(JSON.stringify(setup));
  }

  goOn(line = "") {
    this.process.stdin.write(`${line}\n`);
  }

  async answer() {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`an end says nothing for ${ANSWER_MS} ms`)), ANSWER_MS);
    });
    try {
      const { value } = await Promise.race([this.#lines.next(), late]);
      if (value === undefined) throw new Error("an end is gone");
      return JSON.parse(value);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether this runtime is known to leave such a secret in memory that it freed, where no library reaches it. */
function isTheRuntimes({ id }, engine, name, longest) {
  const isPlaintext = name.startsWith("plaintext");
  if (engine === "auto" && id.startsWith("node") && isPlaintext) return true;
  if (engine === "auto" && id === "deno" && name.includes("key")) return true;
  return (id === "node26" || id === "deno") && isPlaintext && longest <= REGISTER_BYTES;
}

/** What one end found, as what the library left and what its runtime did. */
function sorted(runtime, role, engine, { found, longest, seesKeys, lookedAt, secrets }) {
  if (!seesKeys) throw new Error(`${runtime.label} did not find the keys of its own live session`);
  if (lookedAt < LEAST_LOOKED_AT) throw new Error(`${runtime.label} looked at ${lookedAt} of its memory`);
  const all = Object.keys(found);
  const isRuntimes = (name) => isTheRuntimes(runtime, engine, name, longest[name]);
  const part = (names) => Object.fromEntries(names.map((name) => [name, found[name]]));
  return {
    role,
    label: runtime.label,
    secrets,
    left: part(all.filter((name) => !isRuntimes(name))),
    byRuntime: part(all.filter(isRuntimes)),
  };
}

/**
 * What a server and a client leave in their memory after they talked, each in its runtime.
 *
 * @param {{ id: string, label: string, path: string, args: string[] }} server
 * @param {{ id: string, label: string, path: string, args: string[] }} client
 * @param {"wasm" | "auto"} engine
 */
export async function scanPair(server, client, engine) {
  const plaintexts = LENGTHS.map((length) => halves(`plaintext of ${length} bytes`, MARKER_BYTES));
  const setup = { port: 0, engine, secrets: [halves("psk", PSK_BYTES), ...plaintexts] };
  const ends = [new End(server, "server", setup)];
  try {
    const { port } = await ends[0].answer();
    ends.push(new End(client, "client", { ...setup, port }));
    await ends[1].answer(); // they talked, and are connected
    ends[0].goOn(); // looks for the keys of its live session
    ends[1].goOn();
    const ofClient = await ends[1].answer();
    ends[0].goOn();
    const ofServer = await ends[0].answer();
    return [sorted(server, "server", engine, ofServer), sorted(client, "client", engine, ofClient)];
  } finally {
    for (const { process } of ends) process.kill("SIGKILL");
  }
}
