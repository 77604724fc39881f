// Gives a running server other keys, and finds out which of its connections have keys that are still accepted.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import type { HandshakeFactory } from "../protocol/handshake.ts";
import type { ServerKeys } from "../protocol/noise/severalKeys.ts";
import type { ConnectionContext } from "./context.ts";
import type { Connection } from "./peer.ts";
import type { ReloadedKeys } from "./serverInterface.ts";

interface Keyed {
  readonly makeKeys: (keys: ReloadedKeys) => HandshakeFactory;
}

const reloadedNames = ["psk", "staticKey", "remoteStatic", "authorize", "otherPsks", "otherStaticKeys"];

/**
 * The context with these keys. The old keys are wiped; running handshakes have copies of theirs.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT, and then nothing has changed
 */
export function reloadedContext<Context extends ConnectionContext & Keyed>(
  context: Context,
  keys: ReloadedKeys,
): Context {
  checkOptionNames(keys, reloadedNames);
  const handshake = context.makeKeys(keys);
  if (handshake.anonymous !== context.handshake.anonymous) {
    handshake.destroy?.();
    throw invalidArgument("keys", "such that who is proven stays: anonymous or not");
  }
  context.wipeKeys();
  return { ...context, handshake, wipeKeys: () => handshake.destroy?.() };
}

/** The keys of its handshake are accepted. */
export function knowsKeys(handshake: HandshakeFactory, { identity }: Connection): boolean {
  return identity !== undefined && (handshake as ServerKeys).knows(identity);
}

/** The same, and `authorize`, called again, accepts the peer. */
export async function keepsKeys(handshake: HandshakeFactory, connection: Connection): Promise<boolean> {
  if (!knowsKeys(handshake, connection)) return false;
  const { authorize } = handshake as ServerKeys;
  const { remoteStaticKey, remoteAddress, identity } = connection;
  if (authorize === undefined || remoteStaticKey === undefined) return true;
  try {
    const info = { role: "server", remoteAddress, protocol: identity!.protocol } as const;
    return (await authorize(remoteStaticKey.slice(), info)) === true;
  } catch {
    return false;
  }
}
