// Set-up of every test file. Programs that tests start inherit the environment, and print otherwise where these
// variables are set: with CI, Node takes a terminal for one without colours and others colour what goes into a pipe.
for (const name of ["CI", "FORCE_COLOR", "NO_COLOR", "NODE_DISABLE_COLORS", "GITHUB_ACTIONS", "COLORTERM"]) {
  delete process.env[name];
}
process.env.TERM = "xterm-256color";

// What a program makes may be read by others and written by its user alone, as on most systems: files that are stricter or
// laxer where the tests were started would be something else to those that look at modes.
process.umask(0o022);
