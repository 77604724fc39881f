// A server that tells its counters to peers that it allows to ask: a call with method `sealwire.stat` is answered with
// JSON before the application's handler sees it.

import { SealwireError } from "../base/errors.ts";
import { encodeText } from "../core/text.ts";
import type { Message, MessageHandler } from "./peer.ts";
import type { Proof } from "./peerKeys.ts";
import { type AllowStat, authenticated, STAT_METHOD, type StatAnswer } from "./statMethod.ts";

const JSON_CONTENT = 1;

/** A handler that answers such calls, and gives everything else to `otherwise`. */
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

/** The context of a server whose handler answers such calls, where the option allows them. */
export function withStat<
  Context extends {
    readonly onMessage: MessageHandler | undefined;
    readonly serving: { readonly allowsStat: AllowStat | undefined };
    readonly proof: Proof | undefined;
  },
>(context: Context, answer: () => StatAnswer): Context {
  const { serving, proof, onMessage } = context;
  const { allowsStat } = serving;
  if (allowsStat === undefined) return context;
  const anyKeyWillDo = proof !== undefined && !proof.psk && !proof.key;
  const allow = allowsStat === authenticated && anyKeyWillDo ? () => false : allowsStat;
  return { ...context, onMessage: answeringStat(allow, onMessage, answer) };
}
