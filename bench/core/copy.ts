// Rows for copies inside linear memory, which begins on a page, so that the distance of source and target is known
// exactly: on a processor with the hazard that core/copy.ts describes, the row "16 behind a
// page" takes many times what its neighbours do; elsewhere all take the same. The last row is what Bun does there.

import { COPY_HAZARD_BYTES, COPY_PAGE_BYTES, copyInSteps } from "../../src/core/copy.ts";
import { memory, POOL, POOL_SLOT_BYTES } from "../../src/core/wasmModule.ts";
import { check, type Row, type RowOptions, sameBytes } from "./rows.ts";

const PRIMITIVE = "copy";
const SIZES = [4_096, 16_384, 64_512];
const QUICK_SIZES = [64_512];
const DISTANCES = [0, 16, COPY_HAZARD_BYTES];

function copyRow(bytes: number, distance: number, inSteps: boolean): Row {
  const source = memory.subarray(POOL, POOL + bytes);
  const target = POOL + 2 * POOL_SLOT_BYTES + distance;
  crypto.getRandomValues(source.subarray(0, COPY_PAGE_BYTES));
  const run = () => (inSteps ? copyInSteps(memory, target, source) : memory.set(source, target));
  run();
  check(sameBytes(memory.subarray(target, target + bytes), source), `copy to ${distance} behind a page`);
  const implementation = `${distance} behind a page${inSteps ? ", in steps" : ""}`;
  return { primitive: PRIMITIVE, operation: "copy", implementation, bytes, batch: 1, run };
}

export function copyRows({ quick }: RowOptions): Row[] {
  return (quick ? QUICK_SIZES : SIZES).flatMap((bytes) => [
    ...DISTANCES.map((distance) => copyRow(bytes, distance, false)),
    copyRow(bytes, 16, true),
  ]);
}
