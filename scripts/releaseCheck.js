// `node scripts/releaseCheck.js v1.2.3` checks that this tree is a release with that tag: package.json,
// package-lock.json and jsr.json have the version, the repository's address is there, and CHANGELOG.md has a dated
// section. The exit code is 1 if something is wrong, and the output names it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** @returns {string[]} what is wrong */
export function releaseProblems(tag, read) {
  const problems = [];
  const version = /^v(\d+\.\d+\.\d+)$/.exec(tag)?.[1];
  if (version === undefined) return [`${tag} is no tag of a version (v1.2.3)`];
  for (const name of ["package.json", "package-lock.json", "jsr.json"]) {
    const found = JSON.parse(read(name)).version;
    if (found !== version) problems.push(`${name} has version ${found}`);
  }
  if (JSON.parse(read("package.json")).repository === undefined)
    problems.push("package.json names no repository, which provenance needs");
  const heading = read("CHANGELOG.md")
    .split("\n")
    .find((line) => line.startsWith(`## ${version} `) || line === `## ${version}`);
  if (heading === undefined) problems.push(`CHANGELOG.md has no section for ${version}`);
  else if (!/ \d{4}-\d\d-\d\d$/.test(heading)) problems.push(`the section "${heading}" has no date`);
  return problems;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = releaseProblems(process.argv[2] ?? "", (name) =>
    readFileSync(new URL(`../${name}`, import.meta.url), "utf8"),
  );
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
