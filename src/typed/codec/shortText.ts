// Makes strings of a few bytes of ASCII.

const { fromCharCode } = String;
/** Up to this many characters are joined faster than by a call of the runtime. */
export const LONGEST_SHORT_TEXT = 8;

/**
 * The text of `length` bytes of ASCII, at most LONGEST_SHORT_TEXT. One call gets all characters, because adding them one
 * by one would make a string in each step.
 */
export function shortText(bytes: Uint8Array, start: number, length: number): string {
  switch (length) {
    case 0:
      return "";
    case 1:
      return fromCharCode(bytes[start]!);
    case 2:
      return fromCharCode(bytes[start]!, bytes[start + 1]!);
    case 3:
      return fromCharCode(bytes[start]!, bytes[start + 1]!, bytes[start + 2]!);
    case 4:
      return fromCharCode(bytes[start]!, bytes[start + 1]!, bytes[start + 2]!, bytes[start + 3]!);
    case 5:
      return fromCharCode(
        bytes[start]!,
        bytes[start + 1]!,
        bytes[start + 2]!,
        bytes[start + 3]!,
        bytes[start + 4]!,
      );
    case 6:
      return fromCharCode(
        bytes[start]!,
        bytes[start + 1]!,
        bytes[start + 2]!,
        bytes[start + 3]!,
        bytes[start + 4]!,
        bytes[start + 5]!,
      );
    case 7:
      return fromCharCode(
        bytes[start]!,
        bytes[start + 1]!,
        bytes[start + 2]!,
        bytes[start + 3]!,
        bytes[start + 4]!,
        bytes[start + 5]!,
        bytes[start + 6]!,
      );
    default:
      return fromCharCode(
        bytes[start]!,
        bytes[start + 1]!,
        bytes[start + 2]!,
        bytes[start + 3]!,
        bytes[start + 4]!,
        bytes[start + 5]!,
        bytes[start + 6]!,
        bytes[start + 7]!,
      );
  }
}
