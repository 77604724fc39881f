// A reporter of vitest that tells at the end which files took longest, so that whoever wants a shorter run sees where to
// look. Elapsed time: the files run beside each other. The suites' files count what their processes took.

const SHOWN = 10;

export default class SlowestFiles {
  /** @param {readonly import("vitest/node").TestModule[]} modules */
  onTestRunEnd(modules) {
    const files = modules.map((module) => {
      const { collectDuration, setupDuration, duration } = module.diagnostic();
      return { name: module.relativeModuleId, ms: collectDuration + setupDuration + duration };
    });
    files.sort((a, b) => b.ms - a.ms);
    const lines = files
      .slice(0, SHOWN)
      .map(({ name, ms }) => `${(ms / 1_000).toFixed(1).padStart(8)} s  ${name}`);
    if (files.length > 1) console.log(`\nThe files that took longest:\n${lines.join("\n")}`);
  }
}
