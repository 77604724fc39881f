// The interface between cutting a stream into frames and opening them.

/** Takes the frames. Its methods run during `FrameReader` calls and must not call the reader back. */
export interface FrameSink {
  /** The longest frame that may come now, where that is less than its reader takes. */
  readonly mostBytes?: number;
  /** `count` complete sealed frames fill linear memory [start, end), valid during the call. */
  frames(start: number, end: number, count: number): void;
  /** One complete large frame without its length prefix, in one or more pieces that are valid during the call. */
  largeFrame(pieces: readonly Uint8Array[]): void;
}
