// What has happened to a message (message.ts).

/**
 * What has happened to a message, one bit each. Every field of an object makes it slower to create, and most messages are
 * over in the turn in which they arrive.
 */
export const MessageState = {
  answered: 1,
  /** The handler has returned, or its promise has settled. */
  finished: 2,
  /** A cancel or the end of the connection finds the message. Only the owner changes this. */
  tracked: 4,
  /** The handler returned a promise that has not settled. */
  running: 8,
  /** The message was answered, but its end is not sent yet: items that were written before go first. */
  answerWaits: 16,
} as const;
