// How many of its cases a suite tries.
//
// A suite tries a sample of offsets, seeds and processes with every assertion of the whole. It tries all of them with
// `npm run suite -- NAME --every` and `npm run test:every` (SEALWIRE_EVERY). Cases that only compute, without a socket,
// a timer or an engine of the runtime, have the same result in every runtime. The gate computes all of that sample in
// the machine's Node, and a share of it in each other runtime. The commit decides the share (SEALWIRE_SHARE,
// scripts/shares.js). The title of a test says if it tried a share.

import process from "node:process";
import { noteShare } from "./harness.ts";

export const runsEvery = process.env.SEALWIRE_EVERY === "1";

/** This process tries case `number`, `number` + `of`, …; 0 of 1 is all. */
const share = runsEvery ? { number: 0, of: 1 } : parseShare(process.env.SEALWIRE_SHARE ?? "0/1");

function parseShare(text: string): { number: number; of: number } {
  const [number, of] = text.split("/").map(Number) as [number, number];
  if (!(Number.isInteger(number) && Number.isInteger(of) && 0 <= number && number < of))
    throw new Error(
      `SEALWIRE_SHARE is ${text}, not two integers such as 2/4, the first less than the second`,
    );
  return { number, of };
}

function noteSharing(): void {
  if (share.of > 1) noteShare(`1 in ${share.of} cases`);
}

/** Whether the case of this index is in the share. */
export function isShared(index: number): boolean {
  noteSharing();
  return index % share.of === share.number;
}

/** The cases that are in the share: at least one, in their order. */
export function shared<Case>(cases: readonly Case[]): Case[] {
  const chosen = cases.filter((_, i) => isShared(i));
  return chosen.length > 0 || cases.length === 0 ? chosen : [cases[share.number % cases.length]!];
}

/** How many repetitions with random input, or how much of what they have to reach, are in the share. */
export function sharedCount(count: number): number {
  noteSharing();
  return Math.ceil(count / share.of);
}

/** The step by which a sample goes through offsets or bits: wider for a share, and odd then, so that it comes by every bit of a byte. */
export function sharedStep(step: number): number {
  noteSharing();
  return share.of === 1 ? step : (step * share.of) | 1;
}

/** Options of a test that is a case of its own: skipped where it is not in the share. */
export function inShare(index: number): { skip?: string } {
  if (index % share.of === share.number) return {};
  return {
    skip: `a share: 1 in ${share.of} of these, the commit decides which; all in the machine's Node`,
  };
}
