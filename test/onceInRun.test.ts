// What the files of a run make once for all of them.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { onceInRun } from "./support/onceInRun.ts";

let run = "";
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), "sealwire-once-"));
});
afterEach(() => rmSync(run, { recursive: true }));

describe("once in a run", () => {
  test("the first makes it, and all get it", () => {
    let made = 0;
    const make = (folder: string): void => {
      made++;
      writeFileSync(join(folder, "text"), "made");
    };
    const folders = [1, 2, 3].map(() => onceInRun(run, "thing", make));
    expect(new Set(folders).size).toBe(1);
    expect(readFileSync(join(folders[0]!, "text"), "utf8")).toBe("made");
    expect(made).toBe(1);
    expect(onceInRun(run, "another", make)).not.toBe(folders[0]);
    expect(made).toBe(2);
  });

  test("what could not be made fails for all, with the cause, and is not tried again", () => {
    let tried = 0;
    const make = (): void => {
      tried++;
      throw new Error("no disk");
    };
    for (let i = 0; i < 3; i++) expect(() => onceInRun(run, "thing", make)).toThrow("no disk");
    expect(tried).toBe(1);
  });

  test("while it is being made, it is waited for, and not for ever", () => {
    const make = (folder: string): void => {
      writeFileSync(join(folder, "half"), "");
      expect(() => onceInRun(run, "thing", () => {}, 100)).toThrow("thing was not made within 100 ms");
    };
    const folder = onceInRun(run, "thing", make);
    expect(readdirSync(onceInRun(run, "thing", () => {}, 100))).toEqual(["half"]);
    expect(readdirSync(folder)).toEqual(["half"]);
  });
});
