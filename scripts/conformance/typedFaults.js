// Faults against the rules of docs/PROTOCOL.md for typed calls (faults.js).

/** @type {import("./faults.js").FaultTable} */
export const typedFaults = {
  "Typed calls": [
    [
      "2 · call · the same; the caller took the last argument",
      "what looks like options is lost",
      "/src/typed/typedHead.ts",
      "  callWithOptions: 2,",
      "  callWithOptions: 1,",
    ],
    [
      "17 · answer · the same, of a method that may be called again",
      "no answer says so",
      "/src/typed/typedHead.ts",
      "  idempotentValue: 17,",
      "  idempotentValue: 16,",
    ],
    [
      "18 · answer · why there is no value",
      "an error is a value",
      "/src/typed/answerReader.ts",
      "if (head.what === What.error) {",
      "if (head.what === 99) {",
    ],
    [
      "A side that does not have it, or another version of it",
      "an answer of another version is read",
      "/src/typed/answerReader.ts",
      "head.contentType === codec.contentType && head.codecVersion === codec.version",
      "head.contentType === codec.contentType",
    ],
    [
      "An answer without field 255 is not one of this.",
      "it is a value",
      "/src/typed/answerReader.ts",
      "  if (head === null || !speaksTyped(head)) {\n",
      "  if (head === null) return;\n  if (!speaksTyped(head)) {\n",
    ],
    [
      "Streams stand beside a value, never in it",
      "there may be seventeen",
      "/src/typed/typedHead.ts",
      "MAX_VALUE_STREAMS = 16",
      "MAX_VALUE_STREAMS = 17",
    ],
    [
      "Streams of an answer (3) are the answerer's chunks",
      "what the producer threw is not said",
      "/src/typed/servedStreams.ts",
      "if (!left) writer.error(message, error, scope.method);",
      "if (!left) writer.value(message, undefined, false);",
    ],
    [
      "Streams of arguments (4) are the caller's chunks",
      "the answerer does not end that call",
      "/src/typed/servedStreams.ts",
      "      if (message.expectsReply) message.reply(NO_BYTES);\n    };",
      "      void message;\n    };",
    ],
    [
      "Numbers are of whoever sends the stream, and of one connection.",
      "a stream that was opened may be opened again",
      "/src/typed/servedStreams.ts",
      "    offered.delete(number);\n    timers.cancel(offer.deadline);",
      "    timers.cancel(offer.deadline);",
    ],
    [
      "Whoever leaves a stream cancels its call",
      "a producer whose consumer left goes on",
      "/src/typed/servedStreams.ts",
      'signal.addEventListener("abort", leave);',
      "",
    ],
    [
      "A stream of an answer that nobody opens may be dropped",
      "it stays when the connection ends",
      "/src/typed/servedStreams.ts",
      "        for (const number of [...made.offered.keys()]) this.withdraw(connection, number);",
      "",
    ],
  ],
};
