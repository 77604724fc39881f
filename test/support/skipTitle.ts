// The titles of tests that may be skipped. A title contains the reason, so that the end of a run can count by reason
// (scripts/skippedTests.js).

/** @param reason why it is skipped; undefined where it runs */
export function skipTitle(name: string, reason: string | undefined): string {
  return reason === undefined ? name : `${name} (skipped: ${reason})`;
}
