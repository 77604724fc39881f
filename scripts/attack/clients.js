// Who asks a server while it is attacked, or while another server of the same machine is: one good client, and new ones.
import { connect } from "../../dist/index.js";

const PAUSE_MS = 5;
/** A new client comes so often. */
const NEWCOMER_MS = 500;
/** Nobody waits longer for the next one when the attack is over. */
const STEP_MS = 50;
const NEWCOMER_TIMEOUT_MS = 15_000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** True for so many milliseconds. */
export function during(time) {
  const until = performance.now() + time;
  return () => performance.now() < until;
}

/** Requests of the good client while `isOn`, one after the other; the longest that 99 in 100 took, and failures. */
export async function ask(client, isOn, peak) {
  const took = [];
  let failures = 0;
  while (isOn()) {
    const began = performance.now();
    await client.request(new Uint8Array(100), { timeoutMs: 10_000 }).catch(() => failures++);
    took.push(performance.now() - began);
    peak?.();
    await sleep(PAUSE_MS);
  }
  took.sort((a, b) => a - b);
  return { p99: took[Math.floor(took.length * 0.99)], failures };
}

/** How long each new client waited for its first answer while `isOn`; one without an answer counts as failed. */
export async function newcomers(options, isOn) {
  let worst = 0;
  let failures = 0;
  while (isOn()) {
    const began = performance.now();
    const client = connect({ ...options, onConnectionState() {} });
    await client.request(new Uint8Array(100), { timeoutMs: NEWCOMER_TIMEOUT_MS }).catch(() => failures++);
    worst = Math.max(worst, performance.now() - began);
    await client.close();
    for (const next = during(NEWCOMER_MS); next() && isOn(); ) await sleep(STEP_MS);
  }
  return { worst, failures };
}
