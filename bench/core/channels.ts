// The cost of the channels of node:diagnostics_channel, asked as each request and each event asks them. Without a
// subscriber, asking is the whole cost. The control is one subscriber that does nothing.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { channels, traceRequest, tracesRequests } from "../../src/core/diagnostics.ts";
import { check, type Row } from "./rows.ts";

const BATCH = 1_000;
const REQUEST_START = "tracing:sealwire.request:start";

export function channelRows(): Row[] {
  const answer = Promise.resolve(0);
  let traced = 0;
  const listener = (): void => {
    traced++;
  };
  /** As `RpcConnection.request` begins. */
  const request = (): Promise<number> =>
    tracesRequests() ? traceRequest(() => answer, { connection: undefined, bodyBytes: 0 }) : answer;
  const requests = async (): Promise<void> => {
    for (let i = 0; i < BATCH; i++) request();
    await answer;
  };
  const events = (): number => {
    let heard = 0;
    for (let i = 0; i < BATCH; i++) if (channels.queueFull.hasSubscribers) heard++;
    return heard;
  };
  check(events() === 0, "a channel without subscribers");
  const row = { primitive: "channels", batch: BATCH };
  return [
    { ...row, operation: "event", implementation: "sealwire, no subscriber", run: events },
    { ...row, operation: "request", implementation: "sealwire, no subscriber", run: requests },
    {
      ...row,
      operation: "request",
      implementation: "sealwire, one subscriber",
      run: async () => {
        subscribe(REQUEST_START, listener);
        await requests();
        unsubscribe(REQUEST_START, listener);
        check(traced > 0, "a subscriber is told");
      },
    },
  ];
}
