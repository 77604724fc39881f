// Finds values in the results of a run.

/** Results are an array of flat records; returns the first whose fields all match. */
export function find(run, fields) {
  const entries = Object.entries(fields);
  return run.results.find((result) => entries.every(([key, value]) => result[key] === value));
}

export function all(run, fields) {
  const entries = Object.entries(fields);
  return run.results.filter((result) => entries.every(([key, value]) => result[key] === value));
}

/** The contenders that have at least one of these results, in their fixed order. */
export function contendersOf(run, results) {
  const present = new Set(results.map(({ contender }) => contender));
  return run.contenders.filter(({ id }) => present.has(id));
}

export function runtimesOf(run, results) {
  const present = new Set(results.map(({ client }) => client));
  return run.machine.runtimes.filter(({ id }) => present.has(id));
}
