// What the gate tries in which runtime. The machine's Node tries all that a suite tries without --every. The others try a
// share of what is computed alone (test/support/every.ts), each another one, and other ones with the next commit: what a
// commit spares a runtime, one of the next three gives it. SEALWIRE_SHARE=2/4 npm run suite -- NAME tries the same share again.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Into how many shares cases are divided. */
export const SHARES = 4;

/** The runtimes that try a share, by their roles. */
const sharing = ["node-current", "bun", "deno"];

/**
 * Suites of what no version of Node can do otherwise than another, and why: the current Node runs one in four of them, others
 * with the next commit. The machine's Node, Bun and Deno run all.
 */
export const ofAnyNode = {
  "core/argumentsPlain": "core/arguments looks at the same functions with the other build",
  "core/blake2b": "arithmetic in WebAssembly",
  "core/chaCha20Poly1305Plain": "core/chaCha20Poly1305 runs the same with the other build and Node's own",
  "core/gcmFrameCipherPlain": "core/gcmFrameCipher runs the same with the other build and Node's own",
  "core/gcmPlain": "core/gcm runs the same with the other build and Node's own",
  "core/inflate": "arithmetic on bytes",
  "core/keyCache": "places in linear memory",
  "core/mlKemPlain": "core/mlKem runs the same with the other build and against Node's own",
  "core/slotPool": "places in linear memory",
  "core/x25519Fallback": "core/x25519 compares both ladders",
  "core/x25519Plain": "core/x25519 runs the same with the other build",
  "noise/argumentsPlain": "noise/arguments looks at the same functions with the other build",
  "noise/cipherState": "arithmetic in WebAssembly",
  "noise/handshake": "states and bytes of handshakes",
  "noise/handshakeState": "states and bytes of handshakes",
  "noise/hybrid": "states and bytes of handshakes",
  "noise/keyTrials": "states and bytes of handshakes",
  "noise/patterns": "a parser of names",
  "protocol/backlog": "a queue of bytes",
  "protocol/flowModel": "a search through a model",
  "protocol/frameReader": "cuts bytes into frames",
  "protocol/segment": "fills frames with bytes",
  "protocol/session": "frames between two ends in memory",
  "protocol/v1": "frames between two ends in memory",
  "rpc/flowReplay": "two ends over a network in memory",
  "rpc/packedQueue": "a queue of bytes",
  "rpc/streamWindow": "arithmetic with credit",
  "typed/jsonCodec": "text and bytes",
  "typed/msgpackCodec": "text and bytes",
};

const runsEvery = () => process.env.SEALWIRE_EVERY === "1";

/** A number that every commit changes; where there is no repository, every day. */
function turn() {
  try {
    const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 };
    const commit = execFileSync("git", ["rev-parse", "HEAD"], options).trim();
    return Number.parseInt(commit.slice(0, 8), 16);
  } catch {
    return Math.floor(Date.now() / 86_400_000);
  }
}

/**
 * The share that a runtime tries, for SEALWIRE_SHARE.
 *
 * @param {string} role
 * @param {number} [at] the turn; of this commit, if left out
 * @returns {string | undefined} undefined: everything
 */
export function shareOf(role, at = turn()) {
  const place = sharing.indexOf(role);
  return place === -1 || runsEvery() ? undefined : `${(at + place) % SHARES}/${SHARES}`;
}

/**
 * Divides suites into those that a runtime runs and those that it leaves to others this time.
 *
 * @param {string} role
 * @param {readonly string[]} suites
 * @param {number} [at] the turn; of this commit, if left out
 * @returns {{ run: string[], left: string[] }}
 */
export function suitesOf(role, suites, at = turn()) {
  const names = Object.keys(ofAnyNode);
  const leaves = (suite) => names.includes(suite) && names.indexOf(suite) % SHARES !== at % SHARES;
  const isWhole = role !== "node-current" || runsEvery();
  const left = isWhole ? [] : suites.filter(leaves);
  return { run: suites.filter((suite) => !left.includes(suite)), left };
}

/** How the title of a test ends that tried a share of its cases. */
const shareTitle = (share) => ` (a share: ${share})`;

/**
 * The title of a test.
 *
 * @param {string} name
 * @param {string} [share] what it tried, if that is not all
 * @returns {string}
 */
export function titleOf(name, share) {
  return share === undefined ? name : name + shareTitle(share);
}

/**
 * A line that says how many tests of a run tried a share; none where none did.
 *
 * @param report of vitest's reporter "json"
 * @returns {string}
 */
export function sharesText({ testResults }) {
  const titles = testResults.flatMap(({ assertionResults }) => assertionResults.map(({ title }) => title));
  const count = titles.filter((title) => / \(a share: [^)]*\)$/.test(title)).length;
  if (count === 0) return "";
  return `${count} tests in ${sharing.length} of the runtimes tried 1 in ${SHARES} of their cases, and all of them in the machine's Node; npm run test:every tries all everywhere`;
}
