// `npm run bench:without -- OUT [bodies] [credit] [limits]` makes a build without some rules. `npm run bench:ab` then
// measures the cost of these rules. Such a build talks only to itself, and has no other use.
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import config from "../../rollup.config.js";

/** @type {Record<string, { text: string, edits: { find: string, replace: string }[] }>} */
export const rules = {
  bodies: {
    text: "a body that is kept begins at a multiple of 8, and holds little more than itself alive",
    edits: [
      {
        find: "if (bytes === offered && length >=",
        replace:
          "if (bytes === offered) { isTaken = true; return new Uint8Array(offeredMemory, start, length); }\n  if (false && length >=",
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
      {
        find: "if (!this.#speaksV2) return 0;\n    if (this.#idle.waits) this.#idle.arrived(now());\n    const cost = messageCost(bytes);",
        replace: "return 0;",
      },
      { find: "requirePaid(this.#allowance.receive(cost));\n    return cost;", replace: "" },
      {
        find: "if (!this.#speaksV2) return;\n    if (this.#idle.waits) this.#idle.arrived(now());\n    requirePaid(this.#allowance.receiveAndGiveBack(messageCost(bytes)));",
        replace: "",
      },
      {
        find: "const { due } = this.#allowance;\n    if (due === 0 ||",
        replace: "const due = 0;\n    if (true ||",
      },
    ],
  },
  limits: {
    text: "handlers wait for their turn, which ends with a poll, for room among them, and for answers and memory",
    edits: [
      { find: "return !this.clock.isOver && busy", replace: "return true; return busy" },
      {
        find: "if (this.#spentMs > (this.#only === SEVERAL ? UNPOLLED_MS : UNPOLLED_ALONE_MS)) this.askForPoll();",
        replace: "",
      },
      {
        find: "if (--this.#untilCheck <= 0 || this.#sent.accepted >= this.#checkAtBytes) this.#check();",
        replace: "",
      },
      {
        find: "return this.pendingBytes >= this.#limits.highWaterMarkBytes || this.sender.bytes.overBudget;",
        replace: "return this.pendingBytes >= this.#limits.highWaterMarkBytes;",
      },
    ],
  },
};

/**
 * Builds src/ to the folder `out` with these edits of the code, which are made before it is shortened. Every edit has to
 * find its text once.
 *
 * @param {{ find: string, replace: string }[]} edits
 * @param {string} out
 */
export async function buildEdited(edits, out) {
  const finds = edits.map(() => 0);
  const edited = {
    name: "edited",
    renderChunk(code) {
      let changed = code;
      for (const [i, { find, replace }] of edits.entries()) {
        finds[i] += changed.split(find).length - 1;
        changed = changed.replace(find, () => replace);
      }
      return { code: changed, map: null };
    },
    generateBundle() {
      const others = edits.filter((_, i) => finds[i] !== 1).map(({ find }) => find);
      if (others.length > 0) throw new Error(`not once in the build: ${others.join(", ")}`);
    },
  };
  const output = { ...config.output, dir: out, sourcemap: false };
  const bundle = await rollup({ ...config, plugins: [edited, config.plugins] });
  rmSync(out, { recursive: true, force: true });
  await bundle.write(output);
  await bundle.close();
}

/** Builds src/ to the folder `out` without the rules of these names. */
export function buildWithout(names, out) {
  return buildEdited(
    names.flatMap((name) => rules[name].edits),
    out,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [out, ...chosen] = process.argv.slice(2);
  const names = chosen.length === 0 ? Object.keys(rules) : chosen;
  const unknown = names.filter((name) => !Object.hasOwn(rules, name));
  if (out === undefined || out.startsWith("-") || unknown.length > 0) {
    const known = Object.entries(rules).map(([name, { text }]) => `  ${name}: ${text}`);
    console.error(`npm run bench:without -- OUT [RULE…], of which there are:\n${known.join("\n")}`);
    process.exit(2);
  }
  await buildWithout(names, out);
  console.log(`${out}: without ${names.join(", ")}`);
}
