// `npm run bench:without -- OUT [bodies] [credit] [limits]` makes a copy of dist without some rules. `npm run bench:ab`
// then measures the cost of these rules. Such a build talks only to itself, and has no other use.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** @type {Record<string, { text: string, edits: { find: string, replace: string }[] }>} */
export const rules = {
  bodies: {
    text: "a body that is kept begins at a multiple of 8, and holds little more than itself alive",
    edits: [
      {
        find: "if (bytes === offered && length * MAX_FRAME_SHARE >= bytes.length) return stay(bytes, start, end);",
        replace:
          "if (bytes === offered) { isTaken = true; return new Uint8Array(offeredMemory, start, length); }",
      },
      {
        find: "if (wasTaken && isShared) wipeBetween(offered, lastEnd, offered.length);",
        replace: "",
      },
    ],
  },
  credit: {
    text: "messages and requests are paid for with credit",
    edits: [
      { find: "if (!this.#balance.positive || !this.#forCredit.isEmpty) return false;", replace: "" },
      { find: "this.#balance.spend(messageCost(bodyBytes));", replace: "" },
      { find: "if (!this.#speaksV2) return 0;\n    const cost = messageCost(bytes);", replace: "return 0;" },
      {
        find: 'if (!this.#allowance.receive(cost)) {\n      throw new SealwireError("ERR_PROTOCOL", "a message that the peer had no credit for");\n    }\n    return cost;',
        replace: "",
      },
      {
        find: "const { due } = this.#allowance;\n    if (due === 0 ||",
        replace: "const due = 0;\n    if (true ||",
      },
    ],
  },
  limits: {
    text: "handlers wait for their turn, for room among them, and for answers and memory",
    edits: [
      { find: "return !this.clock.isOver && busy", replace: "return true; return busy" },
      { find: "if ((++this.#handled & LOOK_MASK) !== 0 &&", replace: "return;\n    if (" },
      {
        find: "return pendingBytes >= this.#limits.highWaterMarkBytes || memoryBudget.isExceededBy(pendingBytes);",
        replace: "return pendingBytes >= this.#limits.highWaterMarkBytes;",
      },
    ],
  },
};

/** Copies `from` to `to` without the rules of these names. Every edit has to find its text once. */
export function copyWithout(names, from, to) {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
  const chunks = readdirSync(join(to, "chunks")).filter((name) => name.endsWith(".js"));
  const files = chunks.map((name) => join(to, "chunks", name));
  for (const name of names) for (const edit of rules[name].edits) apply(files, edit);
}

function apply(files, { find, replace }) {
  const holders = files.filter((file) => readFileSync(file, "utf8").includes(find));
  const source = holders.length === 1 ? readFileSync(holders[0], "utf8") : "";
  if (source.split(find).length !== 2) throw new Error(`not once in the build: ${find}`);
  writeFileSync(
    holders[0],
    source.replace(find, () => replace),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [out, ...chosen] = process.argv.slice(2);
  const names = chosen.length === 0 ? Object.keys(rules) : chosen;
  const unknown = names.filter((name) => !Object.hasOwn(rules, name));
  if (out === undefined || unknown.length > 0) {
    const known = Object.entries(rules).map(([name, { text }]) => `  ${name}: ${text}`);
    console.error(`npm run bench:without -- OUT [RULE…], of which there are:\n${known.join("\n")}`);
    process.exit(2);
  }
  copyWithout(names, fileURLToPath(new URL("../../dist", import.meta.url)), out);
  console.log(`${out}: without ${names.join(", ")}`);
}
