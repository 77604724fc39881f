// Makes a client with several endpoints, any of which may have keys of its own.

import { invalidArgument } from "../base/errors.ts";
import { decodeKey, keyPairOf } from "../protocol/noise/keys.ts";
import type { Client } from "./client.ts";
import type { ClientContext } from "./connectionPool.ts";
import type { ConnectionContext } from "./context.ts";
import { DeferredClient } from "./deferredClient.ts";
import type { CheckedEndpoint, EndpointSource } from "./endpointOptions.ts";
import { agreedOptions, type KeyOptions, resolveHandshake } from "./peerKeys.ts";

/**
 * The keys of endpoints that have keys of their own. It stores copies of the client's keys until the client is closed.
 */
function endpointKeys(options: KeyOptions, context: ConnectionContext) {
  const { psk, otherPsks, staticKey, handshake: _given, remoteStatic: _replaced, ...rest } = options;
  const secrets: Pick<KeyOptions, "psk" | "otherPsks" | "staticKey"> = {};
  if (psk !== undefined) secrets.psk = decodeKey("psk", psk);
  if (otherPsks !== undefined)
    secrets.otherPsks = otherPsks.map((other, i) => decodeKey(`otherPsks[${i}]`, other));
  if (staticKey !== undefined) secrets.staticKey = keyPairOf("staticKey", staticKey).privateKey;
  const agreed = agreedOptions(options);
  const contextOf = ({ remoteStatic }: CheckedEndpoint) => {
    if (remoteStatic === undefined) return { handshake: context.handshake, wipeKeys: () => {} };
    if (options.handshake !== undefined)
      throw invalidArgument("remoteStatic", "left out of endpoints with the option handshake");
    const handshake = resolveHandshake("client", { ...rest, ...agreed, ...secrets, remoteStatic });
    return { handshake, wipeKeys: () => handshake.destroy?.() };
  };
  const wipe = (): void => {
    for (const secret of Object.values(secrets).flat()) (secret as Uint8Array).fill(0);
  };
  return { contextOf, wipe };
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the option; then the keys of `context` are wiped */
export function createEndpointsClient(
  source: EndpointSource,
  options: KeyOptions,
  context: Omit<ClientContext, "address">,
): Client {
  const { contextOf, wipe } = endpointKeys(options, context);
  const wipeKeys = (): void => {
    wipe();
    context.wipeKeys();
  };
  try {
    // Keys in a list are checked at once, so that a mistake in them throws here.
    for (const endpoint of source.listed) contextOf(endpoint).wipeKeys();
    const { listed } = source;
    const pinned = listed.length > 0 && listed.every(({ remoteStatic }) => remoteStatic !== undefined);
    const anonymous = context.handshake.anonymous && !pinned;
    return new DeferredClient({ ...context, ...source, anonymous, contextOf, wipeKeys });
  } catch (error) {
    wipeKeys();
    throw error;
  }
}
