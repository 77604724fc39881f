// Runs the rows in this runtime and writes one line of JSON per row to standard output.
//   worker <milliseconds per row> <quick: 0 or 1> <filter, may be empty>

import { wasmBuild } from "../../src/core/instantiate.ts";
import { aes256gcmRows } from "./aes256gcm.ts";
import { blake2bRows } from "./blake2b.ts";
import { chaCha20Poly1305Rows } from "./chaCha20Poly1305.ts";
import { channelRows } from "./channels.ts";
import { copyRows } from "./copy.ts";
import { measure } from "./measure.ts";
import { mlKem768Rows } from "./mlKem768.ts";
import type { RowsOf } from "./rows.ts";
import { x25519Rows } from "./x25519.ts";

const primitives: RowsOf[] = [
  aes256gcmRows,
  chaCha20Poly1305Rows,
  x25519Rows,
  mlKem768Rows,
  blake2bRows,
  copyRows,
  channelRows,
];

const [timeMs, quick, filter] = process.argv.slice(-3);
const wanted = (filter ?? "").toLowerCase();

console.log(JSON.stringify({ build: wasmBuild() }));
for (const rowsOf of primitives) {
  for (const row of await rowsOf({ quick: quick === "1" })) {
    const name = `${row.primitive} ${row.operation} ${row.implementation} ${row.bytes ?? ""}`.toLowerCase();
    if (wanted !== "" && !name.includes(wanted)) continue;
    console.log(JSON.stringify(await measure(row, Number(timeMs))));
  }
}
