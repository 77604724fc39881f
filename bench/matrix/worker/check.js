// Checks correctness before speed. Random bytes of each size that will be timed are echoed and compared byte for byte,
// and the far end must reach the checksum of one-way messages. A contender that fails has no row.
import {
  fnv1a,
  giveOrder,
  payloadBytes,
  readReport,
  resetCounter,
  takeOrder,
  whenCounted,
} from "./control.js";

const CONCURRENT_REQUESTS = 16;
const MESSAGES = 24;

function randomPayload(size) {
  const payload = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(payload.subarray(at, Math.min(size, at + 65_536)));
  }
  payload[0] = 0; // not a control request
  return payload;
}

function differs(a, b) {
  if (a.length !== b.length) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return true;
  return false;
}

async function checkRequests(connection, size) {
  const rounds = size > 65_536 ? 4 : CONCURRENT_REQUESTS;
  const payloads = Array.from({ length: rounds }, () => randomPayload(size));
  const replies = await Promise.all(payloads.map((payload) => connection.request(payload)));
  payloads.forEach((payload, i) => {
    if (differs(payload, replies[i])) throw new Error(`request ${i} of ${size} bytes came back changed`);
  });
}

async function checkMessages(connection, size) {
  await resetCounter(connection, true);
  const count = size > 65_536 ? 4 : MESSAGES;
  const delivered = whenCounted(connection, count);
  let hash = 0;
  for (let i = 0; i < count; i++) {
    const payload = randomPayload(size);
    hash = (hash + fnv1a(payload, 0, size)) >>> 0;
    if (i % 2 === 0 || !connection.sendNoWait(payload)) await connection.send(payload);
  }
  const report = await delivered;
  if (report.count !== count || report.bytes !== count * size || report.hash !== hash) {
    throw new Error(`${count} messages of ${size} bytes did not arrive as they were sent`);
  }
}

/** Items to the far end, whose checksum it must reach, and items from there, which are known. */
async function checkStreams(connection, size) {
  const upload = connection.upload(takeOrder(true));
  let hash = 0;
  for (let i = 0; i < MESSAGES; i++) {
    const item = randomPayload(size);
    hash = (hash + fnv1a(item, 0, size)) >>> 0;
    await upload.write(item);
  }
  const report = readReport(await upload.end());
  if (report.count !== MESSAGES || report.bytes !== MESSAGES * size || report.hash !== hash)
    throw new Error(`${MESSAGES} items of ${size} bytes did not arrive as they were sent`);
  const expected = payloadBytes(size);
  let count = 0;
  for await (const item of connection.download(giveOrder(MESSAGES, size))) {
    count += 1;
    if (differs(item, expected)) throw new Error(`item ${count} of ${size} bytes arrived changed`);
  }
  if (count !== MESSAGES) throw new Error(`${count} of ${MESSAGES} items of ${size} bytes arrived`);
}

/** @throws when one byte differs */
export async function checkConnection(connection, sizes, streams) {
  for (const size of sizes) {
    if (streams) await checkStreams(connection, size);
    await checkRequests(connection, size);
    await checkMessages(connection, size);
  }
}
