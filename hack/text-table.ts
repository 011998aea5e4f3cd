/** Tables for terminals and Markdown. */

/** Columns padded to their widest cell; those in `right` (by index) to the right. */
export function textTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const all = [head, ...rows];
  const width = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]) =>
    head
      .map((_, i) =>
        right.includes(i) ? (row[i] ?? "").padStart(width[i] ?? 0) : (row[i] ?? "").padEnd(width[i] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(head), width.map((n) => "-".repeat(n)).join("  "), ...rows.map(line)].join("\n");
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
