// One line on standard error that names the current step. A terminal has it rewritten in place; other outputs get a
// line every few seconds.
const LINE_EVERY_MS = 5_000;

export class Progress {
  constructor(stream = process.stderr) {
    this.stream = stream;
    this.started = performance.now();
    this.lastLine = Number.NEGATIVE_INFINITY;
    this.section = "";
  }

  enter(section) {
    this.section = section;
    this.lastLine = Number.NEGATIVE_INFINITY;
  }

  step(what) {
    const now = performance.now();
    const text = `${seconds(now - this.started)} ${this.section}: ${what}`;
    if (this.stream.isTTY) {
      this.stream.write(`\r\x1b[K${text.slice(0, (this.stream.columns ?? 100) - 1)}`);
    } else if (now - this.lastLine >= LINE_EVERY_MS) {
      this.lastLine = now;
      this.stream.write(`${text}\n`);
    }
  }

  /** Clears the line and returns how long all of it took, in milliseconds. */
  finish() {
    if (this.stream.isTTY) this.stream.write("\r\x1b[K");
    return performance.now() - this.started;
  }
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(0).padStart(4)} s`;
}
