// Rows for copies inside linear memory. The memory begins on a page, so the distance of source and target is known
// exactly. On a processor with the hazard that core/copy.ts describes, the row "16 behind a page" takes many times as
// long as its neighbours; on others all rows take the same time. The last row is what Bun does at that distance.

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
