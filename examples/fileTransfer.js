// A file goes to the server as a stream, piece by piece at the pace of the disk at the far end, with its progress; the
// answer is the digest of what has arrived.
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { connect, listen } from "sealwire";

const folder = await mkdtemp(join(tmpdir(), "sealwire-"));
const [source, target] = [join(folder, "source"), join(folder, "target")];
await writeFile(source, randomBytes(10_000_000));

const psk = crypto.getRandomValues(new Uint8Array(32));
const server = await listen({
  port: 0,
  psk,
  onMessage: async (message) => {
    const digest = createHash("sha256");
    await pipeline(async function* () {
      for await (const piece of message) {
        digest.update(piece);
        yield piece;
      }
    }, createWriteStream(target));
    message.reply(digest.digest());
  },
});

async function upload(client, path, onProgress) {
  const { size } = await stat(path);
  const digest = createHash("sha256");
  const call = client.call(new Uint8Array(0), { timeoutMs: 60_000 });
  let sent = 0;
  for await (const piece of createReadStream(path)) {
    digest.update(piece);
    await call.write(piece); // waits while the far end has no room
    sent += piece.length;
    onProgress(sent / size);
  }
  call.end();
  const arrived = Buffer.from(await call.answer);
  if (!arrived.equals(digest.digest())) throw new Error("the file arrived damaged");
  return arrived;
}

const client = connect({ port: server.port, psk });
let shown = 0;
await upload(client, source, (part) => {
  for (; shown < Math.floor(part * 4); shown++) console.log(`${(shown + 1) * 25} %`);
});
console.log("the same at both ends:", (await readFile(target)).equals(await readFile(source)));

await client.close();
await server.close();
await rm(folder, { recursive: true });
