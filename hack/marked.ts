/** Pages of which programs write a part: it stands between `<!-- begin: PART -->` and `<!-- end: PART -->`. */
import { readFileSync, writeFileSync } from "node:fs";

/** Replaces what stands between the two marks of `file`. @throws when they are not there. */
export function writeMarked(file: string, part: string, text: string): void {
  const [begin, end] = [`<!-- begin: ${part} -->`, `<!-- end: ${part} -->`];
  const [head, rest] = readFileSync(file, "utf8").split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error(`${file} lacks ${begin} ... ${end}`);
  writeFileSync(file, `${head}${begin}\n\n${text.trim()}\n\n${end}${tail}`);
}
