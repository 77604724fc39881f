// The skipped tests of a run with their reasons. A title has the reason as "(skipped: why)".

/** The reason that a title ends with, or one of the titles around it. */
function reasonOf(fullName) {
  const start = fullName.indexOf("(skipped: ");
  if (start < 0) return undefined;
  let depth = 0;
  for (let i = start; i < fullName.length; i++) {
    if (fullName[i] === "(") depth++;
    else if (fullName[i] === ")" && --depth === 0) return fullName.slice(start + "(skipped: ".length, i);
  }
  return undefined;
}

/**
 * How many tests were skipped, by reason; where the title names none, by file.
 *
 * @param report of vitest's reporter "json"
 * @returns {Map<string, number>} the most in front
 */
export function skippedTests(report) {
  const counts = new Map();
  for (const { name: file, assertionResults } of report.testResults) {
    for (const { status, fullName } of assertionResults) {
      if (status === "passed" || status === "failed") continue;
      const reason = reasonOf(fullName) ?? `without a reason, in ${file.split(/[\\/]/).at(-1)}: ${fullName}`;
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a));
}

/** Lines for people; none where nothing was skipped. */
export function skippedText(skipped) {
  const total = [...skipped.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return "";
  const lines = [...skipped].map(([reason, count]) => `${String(count).padStart(6)}  ${reason}`);
  return [`${total} tests were SKIPPED:`, ...lines].join("\n");
}
