// The file of known peers on disk, which processes share without a lock. A lock would outlive a process that crashed,
// and two processes that take over a stale lock could both hold it.
//
// The file only grows. One write with O_APPEND adds a line, and no other writer can come in between. Overwriting one
// byte of a line takes it back. Neither moves other lines or replaces the file, so offsets, symbolic links, owners and
// modes stay valid. The file is created together with its first line: it is written under another name and then linked
// to its own, so it is never empty. After each write and its fsync the file is read again by its path, and a line that
// is missing is written again.

import type { Buffer } from "node:buffer";
import type { FileHandle } from "node:fs/promises";
import { invalidArgument, SealwireError } from "../base/errors.ts";
import { createWhole, syncByPath } from "./durableFiles.ts";
import { requireSafe, requireSafeFolders, unlessMissing, userOfProcess } from "./fileModes.ts";
import { type PeerLine, type PeerLines, parsePeerLines, separatorAfter } from "./knownPeersLines.ts";
import { buffers, files, flags, paths, safely } from "./nodeFiles.ts";

/** About 15,000 lines. Each first use reads all of them. */
export const MAX_FILE_BYTES = 1 << 20;
/** A change is written again if another program replaced the file meanwhile, up to this many times. */
const MAX_ATTEMPTS = 32;

/** The file at the time it was read. */
export interface PeerSnapshot {
  readonly peers: PeerLines;
  readonly bytes: Buffer;
  /** Without symbolic links. */
  readonly realPath: string;
  readonly dev: number;
  readonly ino: number;
}

/** A byte of a line, and its replacement. */
export interface ByteEdit {
  readonly line: PeerLine;
  /** From the beginning of the file. */
  readonly at: number;
  readonly byte: number;
}

/** The next step of a change: a line to append (without newline), or bytes to replace. */
export type Edit = { readonly append: string } | { readonly replace: readonly ByteEdit[] };

export class KnownPeersFile {
  readonly path: string;
  readonly #absolutePath: string;
  readonly #strictModes: boolean;
  #reading: Promise<unknown> = Promise.resolve();
  #nextRead: Promise<PeerSnapshot | undefined> | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  /** The last result, so that an unchanged file is not parsed again. */
  #last: Pick<PeerSnapshot, "bytes" | "peers"> | undefined;

  /**
   * @param path as the application gave it, for the messages
   * @param directory that a relative path begins at, by default the working directory
   */
  constructor(path: string, strictModes: boolean, directory = ".") {
    this.path = path;
    this.#absolutePath = paths().resolve(directory, path);
    this.#strictModes = strictModes;
  }

  /**
   * The file at some moment after this call; undefined if there is none. Callers share a read that has not begun, so a
   * thousand handshakes at once read the file twice.
   */
  read(): Promise<PeerSnapshot | undefined> {
    this.#nextRead ??= this.#reading.then(() => {
      this.#nextRead = undefined;
      const run = this.#guard(() => this.#read());
      this.#reading = run.catch(() => {});
      return run;
    });
    return this.#nextRead;
  }

  /**
   * Changes the file step by step until `nextStep`, which gets the file after each step, returns no further step.
   * Resolves when all of it is on the disk.
   *
   * @param nextStep an error that it throws ends the change; a file that does not exist is undefined and can be
   * appended to
   */
  change(nextStep: (snapshot: PeerSnapshot | undefined) => Edit | undefined): Promise<void> {
    const run = this.#changing.then(() => this.#guard(() => this.#change(nextStep)));
    this.#changing = run.catch(() => {});
    return run;
  }

  async #change(nextStep: (snapshot: PeerSnapshot | undefined) => Edit | undefined): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const snapshot = await this.read();
      const edit = nextStep(snapshot);
      if (edit === undefined) {
        // Another process's write may have made the step unnecessary, and may not be on the disk yet.
        if (snapshot !== undefined && attempt === 0) await syncByPath(snapshot.realPath);
        return;
      }
      if ("append" in edit) {
        if (snapshot === undefined) await this.#create(`${edit.append}\n`);
        else await append(this.path, snapshot, edit.append);
      } else if (snapshot !== undefined) {
        await replaceBytes(snapshot, edit.replace);
      }
    }
    throw invalidArgument(
      this.path,
      "a file that other programs leave in its place; it was replaced again and again",
    );
  }

  async #read(): Promise<PeerSnapshot | undefined> {
    const realPath = await this.#locate();
    if (realPath === undefined) return undefined;
    // Checked first, because opening a device can have effects.
    const found = await unlessMissing(files().stat(realPath));
    if (found === undefined) return undefined;
    requireFile(this.path, found.isFile());
    const handle = await unlessMissing(files().open(realPath, flags().O_RDONLY | safely()));
    if (handle === undefined) return undefined;
    try {
      const status = await handle.stat();
      requireFile(this.path, status.isFile());
      if (this.#strictModes) requireSafe(this.path, status, await userOfProcess());
      const bytes = await readBounded(this.path, handle, status.size);
      const last = this.#last;
      const peers = last?.bytes.equals(bytes) ? last.peers : parsePeerLines(this.path, bytes);
      this.#last = { bytes, peers };
      return { peers, bytes, realPath, dev: status.dev, ino: status.ino };
    } finally {
      await handle.close();
    }
  }

  /** The path without symbolic links, after a check of who can change where it leads; undefined for no file. */
  async #locate(): Promise<string | undefined> {
    const path = this.#absolutePath;
    const found = await unlessMissing(files().lstat(path));
    const uid = this.#strictModes ? await userOfProcess() : undefined;
    if (this.#strictModes) await requireSafeFolders(paths().dirname(path), uid);
    if (found?.isSymbolicLink() !== true) return found && (await unlessMissing(files().realpath(path)));
    const realPath = await unlessMissing(files().realpath(path));
    // The target existed, or is on a disk that is not mounted now. A new file would trust everybody again.
    if (realPath === undefined) {
      throw invalidArgument(this.path, "a file, but it is a symbolic link to one that does not exist");
    }
    if (this.#strictModes) {
      requireSafe(this.path, found, uid);
      await requireSafeFolders(paths().dirname(realPath), uid);
    }
    return realPath;
  }

  /** Makes the file with its first line, unless another process is faster. */
  async #create(text: string): Promise<void> {
    let folder = paths().dirname(this.#absolutePath);
    let firstMade: string | undefined;
    if ((await unlessMissing(createWhole(this.#absolutePath, text))) === undefined) {
      firstMade = await files().mkdir(folder, { recursive: true, mode: 0o700 });
      await createWhole(this.#absolutePath, text);
    }
    // Also the entries of the file and of the folders that were made for it.
    await syncByPath(folder);
    while (firstMade !== undefined && folder.length >= firstMade.length) {
      folder = paths().dirname(folder);
      await syncByPath(folder);
    }
  }

  /** Turns the runtime's errors into typed ones that name the file. */
  async #guard<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof SealwireError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${this.path} must be a file that can be read and written: ${reason}`;
      throw new SealwireError("ERR_INVALID_ARGUMENT", message, { cause: error });
    }
  }
}

function requireFile(path: string, isFile: boolean): void {
  if (!isFile) throw invalidArgument(path, "a regular file; it is a folder, a device, a pipe or a socket");
}

function requireSize(path: string, size: number): void {
  if (size > MAX_FILE_BYTES) throw invalidArgument(path, `a file of at most ${MAX_FILE_BYTES} bytes`);
}

/** Reads to the end, which other programs may be moving; a file without an end is refused at the limit. */
async function readBounded(path: string, handle: FileHandle, expectedSize: number): Promise<Buffer> {
  requireSize(path, expectedSize);
  let buffer = buffers().alloc(expectedSize + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    length += bytesRead;
    requireSize(path, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    if (length === buffer.length) {
      buffer = buffers().concat([
        buffer,
        buffers().alloc(Math.min(2 * length, MAX_FILE_BYTES + 1) - length + 1),
      ]);
    }
  }
}

/** Appends a line by one write. Does nothing if the path leads to another file by now. */
async function append(path: string, snapshot: PeerSnapshot, line: string): Promise<void> {
  const text = buffers().from(`${separatorAfter(snapshot.peers.tail)}${line}\n`);
  requireSize(path, snapshot.bytes.length + text.length);
  await withSame(snapshot, flags().O_WRONLY | flags().O_APPEND, async (handle) => {
    // A write that is cut short, on a full disk, leaves a torn line. The next attempt marks it and gets the error.
    await handle.write(text, 0, text.length, null);
    await handle.sync();
  });
}

/** Replaces bytes of lines that have not changed. Each replacement happens as a whole or not at all. */
async function replaceBytes(snapshot: PeerSnapshot, edits: readonly ByteEdit[]): Promise<void> {
  await withSame(snapshot, flags().O_RDWR, async (handle) => {
    for (const { line, at, byte } of edits) {
      const expected = snapshot.bytes.subarray(line.start, line.end);
      const present = buffers().alloc(expected.length);
      await handle.read(present, 0, present.length, line.start);
      if (present.equals(expected)) await handle.write(buffers().of(byte), 0, 1, at);
    }
    await handle.sync();
  });
}

/** Opens the file that was read, if the path still leads to it. */
async function withSame(
  snapshot: PeerSnapshot,
  flags: number,
  use: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await unlessMissing(files().open(snapshot.realPath, flags | safely()));
  if (handle === undefined) return;
  try {
    const { dev, ino } = await handle.stat();
    if (dev === snapshot.dev && ino === snapshot.ino) await use(handle);
  } finally {
    await handle.close();
  }
}
