// A reporter of vitest that lists the slowest files at the end, for those who want a shorter run. Times are elapsed
// times, and files run beside each other. A file of suites counts the time of its processes.

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
