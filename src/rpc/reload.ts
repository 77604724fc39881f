// Gives a running server other keys, and finds out which of its connections have keys that are still accepted.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { readOptions } from "../base/options.ts";
import type { HandshakeFactory } from "../protocol/handshake.ts";
import { LaterDecisions } from "../protocol/noise/peerDecision.ts";
import type { ServerKeys } from "../protocol/noise/severalKeys.ts";
import type { RpcConnection } from "./connection.ts";
import { whenEnded } from "./connectionEnds.ts";
import type { ConnectionContext } from "./context.ts";
import { CallbackDeadline } from "./deadline.ts";
import { type Proof, proofOf } from "./peerKeys.ts";
import type { ReloadedKeys } from "./serverInterface.ts";
import { timers } from "./timers.ts";

interface Keyed {
  readonly makeKeys: (keys: ReloadedKeys) => HandshakeFactory;
  readonly proof: Proof | undefined;
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
  // Each key is read once, and inherited ones count: what is proven is judged by the keys that the handshakes get.
  const given = readOptions(keys, reloadedNames);
  const proof = proofOf(given);
  const handshake = context.makeKeys(given);
  try {
    if (handshake.anonymous !== context.handshake.anonymous)
      throw invalidArgument("keys", "such that who is proven stays: anonymous or not");
    if (context.proof !== undefined) checkProof(context.proof, proof);
  } catch (error) {
    handshake.destroy?.();
    throw error;
  }
  context.wipeKeys();
  return { ...context, handshake, proof, wipeKeys: () => handshake.destroy?.() };
}

/** A key that was forgotten among the new ones must not let strangers in. */
function checkProof(before: Proof, now: Proof): void {
  if (before.key && !now.key)
    throw invalidArgument(
      "keys",
      "with remoteStatic or authorize again: without them any client's key would do",
    );
  if (before.psk && !now.psk && !now.key)
    throw invalidArgument(
      "keys",
      "with psk, remoteStatic or authorize: without them anyone could be a client",
    );
}

/** The keys of its handshake are accepted. */
function knowsKeys(handshake: HandshakeFactory, { link: { identity } }: RpcConnection): boolean {
  return identity !== undefined && (handshake as ServerKeys).knows(identity);
}

/**
 * For a connection that opens with a handshake that began before the keys changed. With old keys it is drained, so that
 * its client dials again. A peer that `authorize` refuses gets nothing: no handler has its messages if the refusal comes
 * at once. `current`: as for `drainRefused`.
 */
export function endUnlessKept(connection: RpcConnection, current: () => ConnectionContext): void {
  const context = current();
  if (!knowsKeys(context.handshake, connection)) {
    connection.close();
    return;
  }
  const judge = (kept: boolean): void => {
    if (kept || current() !== context) return;
    connection.destroy(new SealwireError("ERR_HANDSHAKE", "the peer was refused since its handshake began"));
  };
  const keeps = keepsKeys(context, connection);
  if (typeof keeps === "boolean") judge(keeps);
  else keeps.then(judge);
}

/** `answer`, or false if `limitMs` pass before it or the connection ends. 0: no limit. */
function inTime(answer: Promise<boolean>, connection: RpcConnection, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let forget = (): void => {};
    const settle = (kept: boolean): void => {
      timers.cancel(limit);
      forget();
      resolve(kept);
    };
    const refuse = (): void => settle(false);
    const limit = new CallbackDeadline(refuse);
    if (limitMs > 0) timers.arm(limit, limitMs);
    forget = whenEnded(connection, refuse);
    answer.then(settle, refuse);
  });
}

/**
 * The same, and `authorize`, called again, accepts the peer within the time of a handshake. No promise if it answers at
 * once.
 */
function keepsKeys(
  { handshake, limits }: ConnectionContext,
  connection: RpcConnection,
): boolean | Promise<boolean> {
  if (!knowsKeys(handshake, connection)) return false;
  const { authorize } = handshake as ServerKeys;
  const { remoteStaticKey, remoteAddress, link } = connection;
  if (authorize === undefined || remoteStaticKey === undefined) return true;
  // The peer has proven itself, so what is put off is decided as soon as `authorize` has answered.
  const later = new LaterDecisions();
  const { protocol } = link.identity!;
  let isRefused = false;
  const decided = (answer: unknown): boolean | Promise<boolean> => {
    later.close();
    const confirm = answer === true && !isRefused ? later.confirmation(remoteStaticKey) : undefined;
    return confirm === undefined ? answer === true : confirm().then(() => true);
  };
  try {
    const info = { role: "server", remoteAddress, protocol, whenProven: later.add } as const;
    const answer: unknown = authorize(remoteStaticKey, info);
    const kept = typeof answer === "boolean" ? decided(answer) : Promise.resolve(answer).then(decided);
    if (typeof kept === "boolean") return kept;
    return inTime(kept, connection, limits.handshakeTimeoutMs).then((isKept) => {
      isRefused = !isKept;
      return isKept;
    });
  } catch {
    return false;
  }
}

/**
 * Drains those of `open` whose keys are no longer accepted, each as soon as that is known, and tells how many. `current`
 * has other keys after a later reload: that asked about the same connections, and its answers count.
 */
export async function drainRefused(
  open: readonly RpcConnection[],
  current: () => ConnectionContext,
): Promise<number> {
  const context = current();
  const judge = async (connection: RpcConnection): Promise<boolean> => {
    if ((await keepsKeys(context, connection)) || current() !== context) return false;
    const isOpen = connection.state === "open";
    if (isOpen) connection.close();
    return isOpen;
  };
  const drained = await Promise.all(open.map(judge));
  return drained.filter(Boolean).length;
}
