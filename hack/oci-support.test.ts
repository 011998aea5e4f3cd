/** docs/oci-support.md says something of every field of the specification, and names tests that there are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { supportRows } from "./oci-support.ts";
import { withoutField } from "./without-field.ts";

const top = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(top, path), "utf8");
const rows = supportRows();

it("every field of runtime-spec 1.3 for Linux has one row, and no other has", () => {
  const fields = JSON.parse(read("test/fixtures/oci-fields.json")) as string[];
  expect(rows.map((row) => row.field).toSorted()).toEqual(fields.toSorted());
});

it("every row says whether the field is supported, and names a test that there is", () => {
  for (const { field, supported, file, name } of rows) {
    expect(["yes", "no"], field).toContain(supported);
    expect(file, field).not.toBe("");
    for (const part of name) expect(read(file), `${field}: ${part}`).toContain(part);
  }
});

it("a field is taken out wherever its path leads, and numbers stay what they are", () => {
  const text = '{"a":{"b":[{"c":1,"d":18446744073709551615},{"c":2}],"m":{"x":{"e":1},"y":{"e":2,"f":3}}}}';
  expect(withoutField(text, "a.b[].c")).toBe(
    '{"a":{"b":[{"d":18446744073709551615},{}],"m":{"x":{"e":1},"y":{"e":2,"f":3}}}}',
  );
  expect(withoutField(text, "a.m.*.e")).toContain('"m":{"x":{},"y":{"f":3}}');
  expect(withoutField(text, "a.b")).toBe('{"a":{"m":{"x":{"e":1},"y":{"e":2,"f":3}}}}');
  expect(withoutField(text, "nothing.here[].x")).toBe(text);
});
