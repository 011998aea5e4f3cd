/** docs/oci-support.md says something of every field of the specification, and names tests that there are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const top = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(top, path), "utf8");

interface Row {
  readonly field: string;
  readonly supported: string;
  readonly how: string;
  readonly test: string;
}

const rows: readonly Row[] = read("docs/oci-support.md")
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => {
    const [, field = "", supported = "", how = "", test = ""] = line
      .split(" | ")
      .flatMap((cell, i) => (i === 0 ? ["", cell.replace(/^\| /, "")] : [cell.replace(/ \|$/, "")]));
    return { field: field.replaceAll("`", ""), supported, how, test };
  });

it("every field of runtime-spec 1.3 for Linux has one row, and no other has", () => {
  const fields = JSON.parse(read("test/fixtures/oci-fields.json")) as string[];
  expect(rows.map((row) => row.field).toSorted()).toEqual(fields.toSorted());
});

it("every row says whether the field is supported, and names a test that there is", () => {
  for (const { field, supported, test } of rows) {
    expect(["yes", "no"], field).toContain(supported);
    const [, file = "", title = ""] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
    expect(file, field).not.toBe("");
    expect(read(file), `${field}: ${title}`).toContain(title);
  }
});
