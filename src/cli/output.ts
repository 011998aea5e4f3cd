/** How results are shown: tables for people, JSON and YAML for programs. */

export type OutputFormat = "table" | "json" | "yaml";

interface Out {
  readonly output: OutputFormat;
  readonly stdout: { write(text: string): unknown };
}

/**
 * Writes `value` as JSON or YAML. As in protobuf's JSON, 64-bit integers are text and bytes base64; what is at its
 * default stands there too.
 */
export async function writeValue(context: Out, value: unknown): Promise<void> {
  const plain: unknown = JSON.parse(
    JSON.stringify(value, (_, v: unknown) => {
      if (typeof v === "bigint") return v.toString();
      return v instanceof Uint8Array ? Buffer.from(v).toString("base64") : v;
    }),
  );
  if (context.output === "yaml") context.stdout.write((await import("yaml")).stringify(plain));
  else context.stdout.write(`${JSON.stringify(plain, null, 2)}\n`);
}

/** Columns wide enough for their cells, two spaces apart, no space at the end of a line. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** Names come from others: what would move the cursor or colour the terminal is shown as a question mark. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "?");
}

/** The first 13 characters of an id, as crictl shows it, without the digest's algorithm. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 13);
}

/** "3 minutes ago". `ns` 0: not known. */
export function age(ns: bigint, nowMs: number): string {
  if (ns === 0n) return "";
  const seconds = Math.max(0, Math.floor((nowMs - Number(ns / 1_000_000n)) / 1000));
  const units: readonly (readonly [string, number])[] = [
    ["year", 31_536_000],
    ["month", 2_592_000],
    ["week", 604_800],
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ];
  for (const [name, size] of units) {
    const n = Math.floor(seconds / size);
    if (n > 0) return `${n} ${name}${n === 1 ? "" : "s"} ago`;
  }
  return seconds < 1 ? "just now" : `${seconds} second${seconds === 1 ? "" : "s"} ago`;
}

/** "12.3 MB", in powers of 1000 as crictl and docker show sizes. */
export function size(bytes: bigint): string {
  let value = Number(bytes);
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (value < 1000 || unit === "TB") return `${unit === "B" ? value : value.toPrecision(3)}${unit}`;
    value /= 1000;
  }
  return "";
}
