// The processes of a comparison: for each build a server and a client, fresh ones for every start.
import { withFreshPair } from "../matrix/processes.js";

const CONTENDERS = {
  copy: { id: "sealwire", label: "sealwire" },
  view: { id: "sealwire-views", label: "sealwire, views" },
};
export const GROUP = "compared";

/** The endpoint of one end of a build: where the build lies, and its options. */
function endpointOf({ dist, options }, end, more) {
  return { dist, options: { ...options[end], ...more } };
}

/**
 * Starts both builds side by side in one runtime, and ends them when `use` does.
 *
 * @param {{ bodies?: "copy" | "view", environment?: object, options?: object, connections?: number,
 *   atOnce?: number }} how
 * @param {(ends: { a: object, b: object }) => Promise<void>} use each end has a name, a server and a client
 */
export async function withBuilds(
  [buildA, buildB],
  runtime,
  { bodies = "copy", environment = {}, options = {}, connections = 1, atOnce = 1 },
  use,
) {
  const contender = CONTENDERS[bodies];
  const open = async (build, { server, client }) => {
    const { port } = await server.call("listen", { endpoint: endpointOf(build, "server", options) });
    const endpoint = { ...endpointOf(build, "client", options), port };
    await client.call("connect", { endpoint, name: GROUP, count: connections, atOnce });
    return { name: GROUP, server, client };
  };
  await withFreshPair(runtime, contender, environment, (pairA) =>
    withFreshPair(runtime, contender, environment, async (pairB) => {
      const a = await open(buildA, pairA);
      await use({ a, b: await open(buildB, pairB) });
    }),
  );
}
