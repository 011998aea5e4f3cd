/** docs/oci-support.md read: what it says of each field of config.json, and which test shows it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const top = join(import.meta.dirname, "..");

export interface Row {
  readonly field: string;
  readonly supported: string;
  readonly how: string;
  /** A file of the checkout, and of the test's name there the parts ("describe > title", or one), each from its beginning. */
  readonly file: string;
  readonly name: readonly string[];
}

export function supportRows(): readonly Row[] {
  return readFileSync(join(top, "docs/oci-support.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const [field = "", supported = "", how = "", test = ""] = line
        .replace(/^\| /, "")
        .replace(/ \|$/, "")
        .split(" | ");
      const [, file = "", title = ""] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
      return { field: field.replaceAll("`", ""), supported, how, file, name: title.split(" > ") };
    });
}
