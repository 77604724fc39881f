// All worked vectors of docs/PROTOCOL.md, in the form that the document prints.

import { noiseTranscript, type VectorBlock, v1Block } from "./protocolVectors.ts";
import {
  bundleBlock,
  callBlocks,
  chaChaBlocks,
  hybridBlocks,
  paddingBlock,
  recordsBlock,
  rekeyBlock,
  transportBlocks,
} from "./transportVectors.ts";
import { toHex } from "./vectors.ts";

/** Every block of the document by its identifier. */
export function documentBlocks(): Record<string, VectorBlock> {
  const sessions = {
    transport: transportBlocks(),
    call: callBlocks(),
    hybrid: hybridBlocks(),
    ChaChaPoly: chaChaBlocks(),
  };
  return {
    "v2-NNpsk0-steps": noiseTranscript("NNpsk0", true).block,
    "v2-NNhfs+psk0-steps": noiseTranscript("NNhfs+psk0", true).block,
    ...Object.fromEntries(
      ["XXhfs", "IKhfs", "NN", "XX", "XXpsk3", "IK", "IKpsk2", "KK", "KKpsk0"].map((name) => [
        `v2-${name}`,
        noiseTranscript(name, false).block,
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(sessions).flatMap(([name, { client, server }]) => [
        [`v2-${name}-client`, client],
        [`v2-${name}-server`, server],
      ]),
    ),
    "v2-records": recordsBlock(),
    "v2-bundle": bundleBlock(),
    "v2-padding": paddingBlock(),
    "v2-rekey": rekeyBlock(),
    "v2-NNpsk0-ChaChaPoly": noiseTranscript("NNpsk0", false, "ChaChaPoly").block,
    "v2-XXhfs-ChaChaPoly": noiseTranscript("XXhfs", false, "ChaChaPoly").block,
    "v2-ChaChaPoly-rekey": rekeyBlock("ChaChaPoly"),
    v1: v1Block(),
  };
}

const WIDTH = 100;

/** As in the document: "name = hex", long values on lines of their own. */
export function printBlock(block: VectorBlock): string {
  return block
    .map(([name, value]) => {
      const text = typeof value === "string" ? value : toHex(value);
      if (name.length + 3 + text.length <= WIDTH) return `${name} = ${text}`;
      const pieces = text.match(/.{1,96}/g)!;
      return [`${name} =`, ...pieces.map((piece) => `    ${piece}`)].join("\n");
    })
    .join("\n");
}
