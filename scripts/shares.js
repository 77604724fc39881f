// Decides what the gate tries in which runtime. The machine's Node tries all cases that a suite has without --every.
// Each of the others tries a different share of the cases that need computation alone (test/support/every.ts). The
// commit decides the shares, so that each runtime tries all cases over some commits. The current Node also tries all of
// the cryptography: Node 20 has no relaxed SIMD, so each build is tried whole in one runtime. `SEALWIRE_SHARE=2/4 npm
// run suite -- NAME` tries a share again.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Into how many shares cases are divided. */
export const SHARES = 4;

/** The runtimes that try a share, by their roles. */
const sharing = ["node-current", "bun", "deno"];

const PLAIN_BUILD =
  "the machine's Node runs the build without relaxed SIMD whole, whichever it takes by itself";

const RULES =
  "what peers may say and calls do, above the seam to sockets: adapters/node, rpc/nodeSockets, rpc/messages and those of timers, memory and processes are not here";

/**
 * Suites of what no version of Node can do otherwise than another, and why. The machine's Node runs all of them. Each
 * other runtime runs one in four, another one than the others, so three in four run in two runtimes. The commit decides
 * which.
 */
export const ofAnyNode = {
  "core/argumentsPlain": PLAIN_BUILD,
  "core/chaCha20Poly1305Plain": PLAIN_BUILD,
  "core/gcmFrameCipherPlain": PLAIN_BUILD,
  "core/gcmPlain": PLAIN_BUILD,
  "core/unpack": "arithmetic on bytes",
  "core/mlKemPlain": PLAIN_BUILD,
  "core/slotPool": "places in linear memory",
  "core/x25519Plain": PLAIN_BUILD,
  "hostile/answerRecords": RULES,
  "hostile/bundleHandlers": RULES,
  "hostile/bundles": RULES,
  "hostile/callRecords": RULES,
  "hostile/frames": RULES,
  "hostile/handshake": RULES,
  "hostile/oddRecords": RULES,
  "hostile/unlikelyRecords": RULES,
  "noise/argumentsPlain": PLAIN_BUILD,
  "noise/knownPeersRoles": "a list of keys and who may be what",
  "noise/patterns": "a parser of names",
  "protocol/backlog": "a queue of bytes",
  "protocol/flowModel": "a search through a model",
  "protocol/frameReader": "cuts bytes into frames",
  "protocol/segment": "fills frames with bytes",
  "protocol/session": "frames between two ends in memory",
  "protocol/v1": "frames between two ends in memory",
  "rpc/admission": RULES,
  "rpc/arguments": RULES,
  "rpc/attacks": RULES,
  "rpc/borrowedOptions": RULES,
  "rpc/chunkSending": RULES,
  "rpc/credit": RULES,
  "rpc/creditRules": RULES,
  "rpc/deadlines": RULES,
  "rpc/displacedCalls": RULES,
  "rpc/endpoints": RULES,
  "rpc/endpointsChanging": RULES,
  "rpc/endpointsHostile": RULES,
  "rpc/endpointsSrv": RULES,
  "rpc/flowReplay": "two ends over a network in memory",
  "rpc/handlers": RULES,
  "rpc/handshakeTurns": RULES,
  "rpc/heads": RULES,
  "rpc/heldReads": "a clock and an event loop of the suite's own",
  "rpc/interleavings": RULES,
  "rpc/lifecycle": "a table of states",
  "rpc/movingCalls": RULES,
  "rpc/observing": RULES,
  "rpc/optionNames": RULES,
  "rpc/orderlyEnd": RULES,
  "rpc/packedQueue": "a queue of bytes",
  "rpc/proof": RULES,
  "rpc/proxyProtocol": RULES,
  "rpc/reload": RULES,
  "rpc/requests": RULES,
  "rpc/room": RULES,
  "rpc/sender": RULES,
  "rpc/settings": RULES,
  "rpc/statistics": RULES,
  "rpc/streamWindow": "arithmetic with credit",
  "rpc/v1Attacks": RULES,
  "rpc/waitingBodies": RULES,
  "typed/calls": RULES,
  "typed/careless": RULES,
  "typed/dispatch": RULES,
  "typed/hostileAnswers": RULES,
  "typed/hostileCallers": RULES,
  "typed/jsonCodec": "text and bytes",
  "typed/msgpackCodec": "text and bytes",
  "typed/oddValues": RULES,
  "typed/schemas": RULES,
};

/** Suites that take seconds in each runtime. They are divided in the same way. */
export const longest = [
  "noise/knownPeersDisk",
  "rpc/lentMemory",
  "rpc/limits",
  "rpc/messages",
  "rpc/secretsAfterFailures",
  "rpc/secretsInMemory",
  "rpc/shutdown",
  "rpc/soak",
  "rpc/streamMemory",
  "rpc/streams",
  "typed/streams",
];

const runsEvery = () => process.env.SEALWIRE_EVERY === "1";

let ofCommit;

/** A number of this commit; where there is no repository, of this day. */
function turn() {
  ofCommit ??= readTurn();
  return ofCommit;
}

function readTurn() {
  try {
    const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 };
    const commit = execFileSync("git", ["rev-parse", "HEAD"], options).trim();
    return Number.parseInt(commit.slice(0, 8), 16);
  } catch {
    return Math.floor(Date.now() / 86_400_000);
  }
}

/** Suites of the two builds of the module, which the current Node tries whole. */
const isOfBuilds = (suite) => /^(core|noise)\//.test(suite);

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
 * The share of a suite that a runtime tries.
 *
 * @param {string} role
 * @param {string} suite
 * @param {number} [at] the turn; of this commit, if left out
 * @returns {string | undefined} undefined: everything
 */
export function shareOfSuite(role, suite, at = turn()) {
  return role === "node-current" && isOfBuilds(suite) ? undefined : shareOf(role, at);
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
  const names = [...Object.keys(ofAnyNode), ...longest];
  const left = suites.filter((suite) => names.includes(suite) && !triesTest(role, names.indexOf(suite), at));
  return { run: suites.filter((suite) => !left.includes(suite)), left };
}

/** Why a runtime leaves suites to others; for the titles of skipped tests. */
export function whyLeft(role) {
  return `${role} runs 1 in ${SHARES} of the suites that no version of Node can change, and of the longest`;
}

/**
 * Whether this commit tries what has this place, of which it tries 1 in `of`.
 *
 * @param {number} place
 * @param {number} of
 * @param {number} [at] the turn; of this commit, if left out
 * @returns {boolean}
 */
export function isInTurn(place, of, at = turn()) {
  return runsEvery() || (place - at) % of === 0;
}

/**
 * Whether a runtime tries what has this place: the machine's Node everything, each of the others 1 in SHARES, another one
 * than the others.
 *
 * @param {string} role
 * @param {number} place
 * @param {number} [at] the turn; of this commit, if left out
 * @returns {boolean}
 */
export function triesTest(role, place, at = turn()) {
  const first = sharing.indexOf(role);
  return first === -1 || isInTurn(place - first, SHARES, at);
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
