// The library's channels of node:diagnostics_channel (Node, Bun and Deno). Their names begin with "sealwire.". Without
// subscribers a channel costs one comparison.

import { builtinModule } from "./builtin.ts";

/** The members of a channel that this package uses. */
interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: object): void;
}
interface TracingChannel {
  tracePromise<T>(body: () => Promise<T>, context: object): Promise<T>;
}
interface ChannelModule {
  channel(name: string): Channel;
  tracingChannel?(name: string): TracingChannel;
}

const found = builtinModule("node:diagnostics_channel") as ChannelModule | undefined;
const silent: Channel = { hasSubscribers: false, publish: () => {} };
const channel = (name: string): Channel => found?.channel(name) ?? silent;

/** Every channel. docs/GUIDE.md describes their messages; members of a message stay, and a version may add more. */
export const channels = {
  connectionOpen: channel("sealwire.connection.open"),
  connectionClosed: channel("sealwire.connection.closed"),
  dialFailed: channel("sealwire.dial.failed"),
  endpointJoined: channel("sealwire.endpoint.joined"),
  endpointLeft: channel("sealwire.endpoint.left"),
  endpointFailed: channel("sealwire.endpoint.failed"),
  endpointProbed: channel("sealwire.endpoint.probed"),
  lookupFailed: channel("sealwire.lookup.failed"),
  handshakeFailed: channel("sealwire.handshake.failed"),
  socketRefused: channel("sealwire.socket.refused"),
  queueFull: channel("sealwire.queue.full"),
  rekey: channel("sealwire.rekey"),
};

/** Requests of this side: a TracingChannel, which is five channels by these names. */
const REQUESTS = "sealwire.request";
const ofRequests = (event: string): Channel => channel(`tracing:${REQUESTS}:${event}`);
const starts = ofRequests("start");
const ends = ofRequests("end");
const asyncStarts = ofRequests("asyncStart");
const asyncEnds = ofRequests("asyncEnd");
const errors = ofRequests("error");
const requests = found?.tracingChannel?.(REQUESTS);

/**
 * Whether a subscriber traces requests. The TracingChannel is not asked, because its `hasSubscribers` is undefined in
 * Bun.
 */
export function tracesRequests(): boolean {
  return (
    starts.hasSubscribers ||
    ends.hasSubscribers ||
    asyncStarts.hasSubscribers ||
    asyncEnds.hasSubscribers ||
    errors.hasSubscribers
  );
}

/** Runs a request and publishes its start, its end and its outcome (`result` or `error` of the context). */
export function traceRequest<T>(body: () => Promise<T>, context: object): Promise<T> {
  return requests === undefined ? body() : requests.tracePromise(body, context);
}
