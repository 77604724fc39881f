// A server that tells its counters to peers that it allows to ask: a call with method `sealwire.stat` is answered with
// JSON before the application's handler sees it. Off unless the option `stat` is given.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { encodeText } from "../core/text.ts";
import type { Health } from "./health.ts";
import type { Connection, Message, MessageHandler } from "./peer.ts";
import type { ServerStats } from "./serverInterface.ts";

export const STAT_METHOD = "sealwire.stat";
const JSON_CONTENT = 1;

/** Decides who may ask for the counters of a server. */
export type AllowStat = (connection: Connection) => boolean | Promise<boolean>;

/** The answer, as JSON. Its members stay, and a version may add more. */
export interface StatAnswer {
  /** Whether the server takes calls. */
  readonly health: Health;
  /** Milliseconds since the server began to listen. */
  readonly uptimeMs: number;
  /** The same as `server.stats`. */
  readonly stats: ServerStats;
}

/**
 * The function that the option means: `true` allows peers that the handshake authenticated, and no others.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function resolveStat(allow: unknown): AllowStat | undefined {
  if (allow === undefined || allow === false) return undefined;
  if (allow === true) return ({ authenticated }) => authenticated;
  if (typeof allow !== "function") throw invalidArgument("stat", "a boolean or a function");
  return allow as AllowStat;
}

/** A handler that answers such calls, and passes everything else to `otherwise`. */
function answeringStat(
  allow: AllowStat,
  otherwise: MessageHandler | undefined,
  answer: () => StatAnswer,
): MessageHandler {
  const asked = async (message: Message): Promise<void> => {
    if ((await allow(message.connection)) !== true)
      throw new SealwireError("ERR_UNAUTHORIZED", "this peer may not ask for counters");
    message.reply(encodeText(JSON.stringify(answer())), { contentType: JSON_CONTENT });
  };
  return (message) => {
    if (message.expectsReply && message.head.method === STAT_METHOD) return asked(message);
    if (otherwise !== undefined) return otherwise(message);
    if (!message.expectsReply) return;
    throw Object.assign(new Error("this side handles no messages"), { code: "ERR_NO_HANDLER" });
  };
}

/** The context of a server whose handler answers such calls, if the option allows them. */
export function withStat<
  Context extends {
    readonly onMessage: MessageHandler | undefined;
    readonly serving: { readonly allowsStat: AllowStat | undefined };
  },
>(context: Context, answer: () => StatAnswer): Context {
  const { allowsStat } = context.serving;
  if (allowsStat === undefined) return context;
  return { ...context, onMessage: answeringStat(allowsStat, context.onMessage, answer) };
}
