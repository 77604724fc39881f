// The set-up of every test file. Programs that tests start inherit the environment, and some variables change their
// output: with CI, Node treats a terminal as one without colours, and other runtimes colour their output into a pipe.
for (const name of ["CI", "FORCE_COLOR", "NO_COLOR", "NODE_DISABLE_COLORS", "GITHUB_ACTIONS", "COLORTERM"]) {
  delete process.env[name];
}
process.env.TERM = "xterm-256color";

// What a program makes may be read by others and written by its user alone, as on most systems: files that are stricter or
// laxer where the tests were started would be something else to those that look at modes.
process.umask(0o022);
