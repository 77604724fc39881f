import { runSoon } from "./eventLoop.ts";

/** Runs `callback`. What it throws is reported as an error of a microtask, and the caller goes on. */
export function reportThrown(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    runSoon(() => {
      throw error;
    });
  }
}
