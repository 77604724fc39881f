// The dial of the proxy's plain side: its time limit counts from the lookup of the name on.
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { dialPlain } from "../src/cli/proxy/plainSide.ts";

vi.mock("node:dns/promises", () => ({ lookup: vi.fn() }));
const looked = vi.mocked(
  lookup as unknown as (host: string) => Promise<{ address: string; family: number }[]>,
);
afterEach(() => looked.mockReset());

const target = { host: "slow.example", port: 9 };
const here = { anywhere: false };
/** What a program can't wait for. */
const NEVER_MS = 2_000_000_000;

test("a name that is never found ends the dial when its time is over", async () => {
  looked.mockReturnValue(new Promise(() => {}));
  await expect(dialPlain(target, here, 1, new AbortController().signal)).rejects.toMatchObject({
    name: "TimeoutError",
  });
  expect(looked).toHaveBeenCalledOnce();
});

test("a caller that gives up ends the dial while its name is looked up, and the late answer is ignored", async () => {
  let found: (addresses: { address: string; family: number }[]) => void = () => {};
  looked.mockReturnValue(
    new Promise((resolve) => {
      found = resolve;
    }),
  );
  const abort = new AbortController();
  const dial = dialPlain(target, here, NEVER_MS, abort.signal);
  abort.abort(new Error("given up"));
  await expect(dial).rejects.toThrow("given up");
  found([{ address: "127.0.0.1", family: 4 }]);
  // Neither a dial nor a rejection that nobody handles follows.
  await new Promise((resolve) => setImmediate(resolve));
  // It had ended before the name was asked for.
  looked.mockReturnValue(new Promise(() => {}));
  await expect(dialPlain(target, here, NEVER_MS, abort.signal)).rejects.toThrow("given up");
});

test("a name that is found in time is dialled, and one that has no address is told", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  looked.mockResolvedValue([{ address: "127.0.0.1", family: 4 }]);
  const plain = await dialPlain({ host: "here.example", port }, here, NEVER_MS, new AbortController().signal);
  plain.reset();
  await plain.gone;
  looked.mockRejectedValue(new Error("ENOTFOUND here.example"));
  await expect(
    dialPlain({ host: "here.example", port }, here, NEVER_MS, new AbortController().signal),
  ).rejects.toThrow("ENOTFOUND");
  server.close();
});
