/**
 * The end of a log whose monitor was killed: a write may have been cut in the middle of a line, which no reader could
 * tell from one that is still to come. What is there of it is marked as a part (tag P) and ended; of a line that has no
 * text yet nothing is kept.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** More than the longest line: 16 KiB of text and what stands before it. */
const tailBytes = 64 << 10;
const head = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (?:stdout|stderr) [FP] /;
const headBytes = "2026-01-02T15:04:05.123456789Z stdout F ".length;

/**
 * Mends the log at `path`, which nobody writes to any more. Does nothing to one that ends with a whole line, is no
 * file of its own (links are not followed) or has something else at its end. Returns whether it changed anything.
 * @throws the error of the file's system; no file is no error
 */
export async function endLog(path: string): Promise<boolean> {
  let file: FileHandle;
  try {
    // A FIFO that somebody put there is not waited for.
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ELOOP" || code === "ENXIO" || code === "EISDIR") return false;
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.size === 0) return false;
    const from = Math.max(0, stat.size - tailBytes);
    const tail = Buffer.alloc(stat.size - from);
    const { bytesRead } = await file.read(tail, 0, tail.length, from);
    const lineBreak = tail.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (bytesRead < tail.length || lineBreak === tail.length - 1 || (lineBreak < 0 && from > 0)) return false;
    const start = from + lineBreak + 1;
    const line = tail.subarray(lineBreak + 1).toString("latin1");
    if (head.test(line) && line.length > headBytes) {
      await file.write("P", start + headBytes - 2);
      await file.write("\n", stat.size);
    } else if (/^[-0-9T:.Z]{1,30}(?: [a-z]{0,6}(?: [FP]? ?)?)?$/.test(line)) {
      await file.truncate(start);
    } else {
      return false;
    }
    return true;
  } finally {
    await file.close();
  }
}
