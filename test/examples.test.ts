// Every example runs unchanged and prints what its text promises: in the machine's Node, and a part in each other runtime.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { runtimeKinds } from "../scripts/runtimes.js";
import { installPackage } from "./support/installedPackage.ts";
import { testsOfRole } from "./support/testsInTurn.ts";
import { repositoryRoot } from "./support/vectors.ts";

const run = promisify(execFile);

const printed: Record<string, string[]> = {
  "echo.js": ["hello"],
  "typed.js": [
    "served echo",
    "hello",
    "Earth",
    "planet.find NOT_FOUND 9",
    'planet.find ERR_BAD_INPUT ["id"]',
    "nobody watches any more",
    "10000",
    "the answer is 42",
  ],
  "orpc.js": ['{"id":3,"name":"Earth"}', "BAD_REQUEST", "1,2,3"],
  "capnweb.js": ["hello capnweb", "2,5", "10,20"],
  "mutualKeys.js": ["hello alice", "the stranger is refused: true"],
  "firstUse.js": [
    "the first time: accepted",
    "known since: 1",
    "the next time: accepted",
    "with another key: refused with ERR_UNAUTHORIZED",
  ],
  "chat.js": [
    'ann heard ["bob: I am"]',
    'bob heard ["ann: is anybody here?"]',
    'eve heard ["ann: is anybody here?","bob: I am"]',
  ],
  "serverPush.js": ["no more jobs", "5, 20"],
  "fileTransfer.js": ["25 %", "50 %", "75 %", "100 %", "the same at both ends: true"],
  "workerFleet.js": ["1 4 9 16 25 36 49 64 81 100 121 144"],
  "gracefulDeploy.js": [
    "version 1 is ready",
    "version 2 is ready",
    "version 1 is draining",
    "version 1 is stopped",
    "version 1, then version 2 and failed calls: 0",
    "version 2 is draining",
    "version 2 is stopped",
  ],
  "prometheus.js": [
    "# TYPE sealwire_connections gauge",
    'sealwire_connections{name="api"} 1',
    'sealwire_connections{name="jobs"} 1',
    "# TYPE sealwire_failed_connections_total counter",
    'sealwire_failed_connections_total{name="api"} 0',
    'sealwire_failed_connections_total{name="jobs"} 0',
    "# TYPE sealwire_opened_connections_total counter",
    'sealwire_opened_connections_total{name="api"} 1',
    'sealwire_opened_connections_total{name="jobs"} 1',
    "# TYPE sealwire_refused_connections_total counter",
    'sealwire_refused_connections_total{name="api"} 0',
    "# TYPE sealwire_requests_total counter",
    'sealwire_requests_total{name="api"} 0',
    'sealwire_requests_total{name="jobs"} 3',
  ],
  "oldPeer.js": ["hello from the past", "authenticated: false"],
  "keyRotation.js": [
    "1. old key, clients trust the old one: works",
    "2. old key, clients trust both: works",
    "3. new key, clients trust both: works",
    "4. new key, clients trust the new one: works",
    "5. old key, clients trust the new one: ERR_UNAUTHORIZED",
  ],
};

/** Those that run until they are told to end: the test that starts them, asks them and ends them. */
const runElsewhere: Record<string, string> = {
  "multiCore.js": "test/processes.test.ts",
  "server.js": "test/servingExamples.test.ts",
};

const files = readdirSync(join(repositoryRoot, "examples"));

const consumer = installPackage();
const installedEcho = consumer.write(
  "echo.js",
  readFileSync(join(repositoryRoot, "examples/echo.js"), "utf8"),
);
afterAll(() => consumer.remove());

test("every example has its expected output here and a line in examples/README.md", () => {
  const programs = files.filter((name) => name.endsWith(".js")).sort();
  expect(programs).toEqual([...Object.keys(printed), ...Object.keys(runElsewhere)].sort());
  for (const [name, path] of Object.entries(runElsewhere)) {
    expect(readFileSync(join(repositoryRoot, path), "utf8")).toContain(`examples/${name}`);
  }
  const text = readFileSync(join(repositoryRoot, "examples/README.md"), "utf8");
  for (const name of programs) expect(text).toContain(`| \`${name}\` |`);
});

describe.each(runtimeKinds())("in $label ($version)", (runtime) => {
  const [role] = runtime.roles;
  const inTurn = testsOfRole(role!, "the examples");
  for (const [name, lines] of Object.entries(printed))
    inTurn(`${name}, in this repository`, () => prints(name, lines));

  async function prints(name: string, lines: string[]): Promise<void> {
    const args = runtime.id === "deno" ? ["run", "-A"] : runtime.args;
    const { stdout } = await run(runtime.path, [...args, `examples/${name}`], {
      cwd: repositoryRoot,
      timeout: 60_000,
    });
    expect(stdout.trim().split("\n")).toEqual(lines);
  }

  test("echo.js, in a project that has the package installed", async () => {
    const args = runtime.id === "deno" ? ["run", "-A"] : runtime.args;
    const { stdout } = await run(runtime.path, [...args, installedEcho], {
      cwd: consumer.folder,
      timeout: 60_000,
    });
    expect(stdout.trim()).toBe("hello");
  });
});
