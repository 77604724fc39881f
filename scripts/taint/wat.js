// The text form of a WebAssembly module as nested arrays of words, and back. A list is an array whose first item is
// its keyword; strings keep their quotes.

/**
 * Reads the one list that `text` holds.
 *
 * @param {string} text as binaryen writes it
 * @returns {any[]}
 */
export function parseWat(text) {
  /** @type {any[][]} */
  const stack = [[]];
  // A string, a parenthesis, a comment to the end of its line, or a word.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[()]|;;[^\n]*|[^\s()"]+/g)) {
    if (token.startsWith(";;")) continue;
    if (token === "(") stack.push([]);
    else if (token === ")") {
      const list = stack.pop();
      stack.at(-1).push(list);
    } else stack.at(-1).push(token);
  }
  if (stack.length !== 1 || stack[0].length !== 1) throw new Error("the text is not one list");
  return stack[0][0];
}

/** The text of a list. */
export function printWat(node) {
  return Array.isArray(node) ? `(${node.map(printWat).join(" ")})` : node;
}
