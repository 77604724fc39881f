// The sentences of docs/PROTOCOL.md, and those of test/CONFORMANCE.md with the tests that would fail without them.

/** Sentences by the heading above them, in order; a row of a table is one, with its cells joined by ` · `. */
type Sentences = ReadonlyMap<string, readonly string[]>;

/** A sentence of CONFORMANCE.md, with what stands below it. */
interface Claim {
  readonly section: string;
  readonly sentence: string;
  /** `suite: name`, as the test's file has the name, with … for what it fills in. */
  readonly tests: string[];
  /** Why it needs no test. */
  readonly reasons: string[];
}

const FIRST_SECTION = "Frames";
/** Its sentences say how to read the vectors. */
const SECTION_LEFT_OUT = "Worked vectors: transport";
const HEADING = /^#{1,4} (.+)$/;
const LIST_ITEM = /^(?:[-*]|\d+\.) /;
const RULE_OF_TABLE = /^\|[\s|:-]+\|$/;
/** A space behind what ends a sentence, in front of what begins one. */
const BETWEEN_SENTENCES = /(?<=[.:!?]["”)*]{0,3}) (?=[("*`[]{0,3}[A-Z*`(])/;

/** `text` without the targets of links, with single spaces. */
const plain = (text: string): string =>
  text
    .replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .replace(/\s+/g, " ")
    .trim();

function sentencesOf(block: string): string[] {
  if (!block.startsWith("|")) return plain(block.replace(LIST_ITEM, "")).split(BETWEEN_SENTENCES);
  return [block.split("|").slice(1, -1).map(plain).join(" · ")];
}

/** The sentences of PROTOCOL.md that an implementation of its protocols has to follow; code and heads of tables left out. */
export function protocolSentences(page: string): Sentences {
  const found = new Map<string, string[]>();
  let section: string[] | undefined;
  let block: string[] = [];
  let inCode = false;
  const finish = (): void => {
    if (block.length > 0) section?.push(...sentencesOf(block.join(" ")));
    block = [];
  };
  for (const line of page.split("\n")) {
    if (line.startsWith("```")) inCode = !inCode;
    const heading = inCode ? undefined : HEADING.exec(line)?.[1];
    const endsBlock = line === "" || line.startsWith("|") || line.startsWith("```") || LIST_ITEM.test(line);
    // What stands above the rule of a table is its head.
    if (RULE_OF_TABLE.test(line)) block = [];
    else if (endsBlock || heading !== undefined) finish();
    if (heading !== undefined) {
      if (heading !== FIRST_SECTION && found.size === 0) continue;
      section = heading === SECTION_LEFT_OUT ? undefined : [];
      if (section !== undefined) found.set(heading, section);
    } else if (!inCode && line !== "" && !line.startsWith("```") && !RULE_OF_TABLE.test(line)) {
      block.push(line.trim());
    }
  }
  return found;
}

/** What CONFORMANCE.md says: a heading for each section, `> sentence`, and below it `- suite: name` or `- no test: why`. */
export function readClaims(page: string): Claim[] {
  const claims: Claim[] = [];
  let section = "";
  for (const line of page.split("\n")) {
    section = /^## (.+)$/.exec(line)?.[1] ?? section;
    const sentence = /^> (.+)$/.exec(line)?.[1];
    if (sentence !== undefined) claims.push({ section, sentence, tests: [], reasons: [] });
    const named = /^- (.+)$/.exec(line)?.[1];
    if (named === undefined || claims.length === 0) continue;
    const reason = /^no test: (.+)$/.exec(named)?.[1];
    if (reason === undefined) claims.at(-1)!.tests.push(named);
    else claims.at(-1)!.reasons.push(reason);
  }
  return claims;
}

/** The names in a suite's source, with … for what a template fills in. */
export function testNames(source: string): Set<string> {
  const names = [...source.matchAll(/\btest\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g)];
  return new Set(names.map(([, text, template]) => text ?? template!.replace(/\$\{[^}]*\}/g, "…")));
}

/**
 * What is wrong with these claims, in words. `sourceOf`: the source of a suite, undefined without such a suite.
 */
export function conformanceFaults(
  sentences: Sentences,
  claims: readonly Claim[],
  sourceOf: (suite: string) => string | undefined,
): string[] {
  const faults: string[] = [];
  const key = (section: string, sentence: string): string => `${section}: ${sentence}`;
  const claimed = new Map(claims.map((claim) => [key(claim.section, claim.sentence), claim]));
  const said = new Set<string>();
  for (const [section, all] of sentences) for (const sentence of all) said.add(key(section, sentence));
  for (const sentence of said) if (!claimed.has(sentence)) faults.push(`no test is named for "${sentence}"`);
  const names = new Map<string, Set<string>>();
  for (const [sentence, { tests, reasons }] of claimed) {
    if (!said.has(sentence)) faults.push(`the page does not say "${sentence}"`);
    if (tests.length === 0 && reasons.length === 0) faults.push(`neither test nor reason for "${sentence}"`);
    for (const test of tests) {
      const [suite, name] = [test.slice(0, test.indexOf(": ")), test.slice(test.indexOf(": ") + 2)];
      if (!names.has(suite)) names.set(suite, testNames(sourceOf(suite) ?? ""));
      const inSuite = names.get(suite)!;
      if (!inSuite.has(name)) faults.push(`there is no "${test}"`);
    }
  }
  return faults;
}
