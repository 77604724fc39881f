// The measured loops of streams, and the streams that run beside other loops.
import { giveOrder, readReport, takeOrder } from "./control.js";

/** What every bulk stream has sent before what runs beside it is timed. */
const BULK_LEAD_ITEMS = 64;

/** One stream of `count` items to the far end. */
export async function uploads({ connection, count }, payload) {
  const upload = connection.upload(takeOrder());
  for (let i = 0; i < count; i++) {
    const room = upload.write(payload);
    if (room !== undefined) await room;
  }
  const report = readReport(await upload.end());
  if (report.count !== count || report.bytes !== count * payload.length)
    throw new Error(`sent ${count} items, the far end has ${report.count} with ${report.bytes} bytes`);
}

/** One stream of `count` items from the far end. */
export async function downloads({ connection, count }, payload) {
  let items = 0;
  let bytes = 0;
  for await (const item of connection.download(giveOrder(count, payload.length))) {
    items += 1;
    bytes += item.length;
  }
  if (items !== count || bytes !== count * payload.length)
    throw new Error(`ordered ${count} items, ${items} came with ${bytes} bytes`);
}

/** Where there are no streams, a stream is one-way messages, each sent when the kernel has the last one. */
function openUpload(connection) {
  return connection.upload?.(takeOrder()) ?? { write: (item) => connection.send(item), end: () => undefined };
}

/**
 * Streams that send without end, until they are stopped.
 *
 * @param {{ streams: number, size: number }} bulk
 * @returns {Promise<{ rate(): { bulkMbPerS: number }, stop(): Promise<void> }>} when all of them are under way
 */
export async function startBulk(connection, { streams, size }) {
  const payload = new Uint8Array(size);
  let stopped = false;
  let sent = 0;
  const run = async (underWay) => {
    const upload = openUpload(connection);
    for (let items = 1; !stopped; items++) {
      await upload.write(payload);
      sent += size;
      if (items === BULK_LEAD_ITEMS) underWay();
    }
    await upload.end();
  };
  const running = [];
  const ready = Array.from(
    { length: streams },
    () =>
      new Promise((underWay, failed) => {
        const ended = run(underWay);
        ended.catch(failed);
        running.push(ended);
      }),
  );
  await Promise.all(ready);
  const start = performance.now();
  sent = 0;
  return {
    /** What they have sent a second since all were under way. */
    rate: () => ({ bulkMbPerS: sent / 1e3 / (performance.now() - start) }),
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}
