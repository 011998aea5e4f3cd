/**
 * hack/differences: runs the vitest project `native` and makes docs/oci-differences.md of its answers; the options in
 * docs/oci-runtime.md it writes before.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Answer, Recorded } from "../test/native/compare.ts";
import { runtimes, versionLine } from "../test/native/runtimes.ts";
import { writeMarked } from "./marked.ts";
import { optionsPage, optionsPart, optionsReference } from "./oci-options.ts";
import { run } from "./run.ts";
import { markdownTable } from "./text-table.ts";

const root = join(import.meta.dirname, "..");
const target = join(root, "docs/oci-differences.md");

/** An answer as a cell: short, in one line. */
function cell(answer: Answer): string {
  const text = typeof answer === "string" ? answer : JSON.stringify(answer);
  const line = text.replaceAll("\n", "⏎");
  return `\`${line.length > 160 ? `${line.slice(0, 157)}...` : line}\``.replaceAll("``", "(empty)");
}

/** Members that all three answer alike say nothing; of the rest each runtime's own. */
function reduced(answers: Recorded["answers"]): Recorded["answers"] {
  const { "kobako-oci": own, runc, crun } = answers;
  const isObject = (a: Answer): a is { readonly [key: string]: Answer } =>
    typeof a === "object" && a !== null && !Array.isArray(a);
  if (!isObject(own) || !isObject(runc) || !isObject(crun)) return answers;
  const keys = new Set([...Object.keys(own), ...Object.keys(runc), ...Object.keys(crun)]);
  const alike = [...keys].filter(
    (key) => isDeepStrictEqual(own[key], runc[key]) && isDeepStrictEqual(own[key], crun[key]),
  );
  const rest = (a: { readonly [key: string]: Answer }) =>
    Object.fromEntries(Object.entries(a).filter(([key]) => !alike.includes(key)));
  return { "kobako-oci": rest(own), runc: rest(runc), crun: rest(crun) };
}

function row({ name, answers, differs }: Recorded): string[] {
  const shown = reduced(answers);
  return [
    name.replaceAll(" > ", ": "),
    cell(shown["kobako-oci"]),
    cell(shown.runc),
    cell(shown.crun),
    differs ?? "",
  ];
}

/** Which of the three stands apart. */
function kind({ answers }: Recorded): "none" | "ours" | "others" {
  const { "kobako-oci": own, runc, crun } = answers;
  const likeRunc = isDeepStrictEqual(own, runc);
  const likeCrun = isDeepStrictEqual(own, crun);
  return likeRunc && likeCrun ? "none" : likeRunc || likeCrun ? "others" : "ours";
}

function page(recorded: readonly Recorded[]): string {
  const sorted = [...recorded].sort((a, b) => (a.name < b.name ? -1 : 1));
  const of = (wanted: "ours" | "others") => sorted.filter((r) => kind(r) === wanted);
  const likeRunc = of("others").filter((r) => isDeepStrictEqual(r.answers["kobako-oci"], r.answers.runc));
  const likeCrun = of("others").filter((r) => !likeRunc.includes(r));
  const head = ["question", "kobako-oci", "runc", "crun"];
  const three = (list: readonly Recorded[]) =>
    markdownTable(
      head,
      list.map((r) => row(r).slice(0, 4)),
    );
  return `# Where kobako-oci, runc and crun differ

Written by \`hack/differences\` from the answers of \`test/native\`; do not edit. Asked: ${runtimes.map(versionLine).join(", ")}.

${sorted.length} questions; all three agree on ${sorted.filter((r) => kind(r) === "none").length}.
Members of an answer on which all agree are left out.

## Ours is like neither

${of("ours").length === 0 ? "None." : markdownTable([...head, "why"], of("ours").map(row))}

## Ours is like runc, crun differs

${likeRunc.length === 0 ? "None." : three(likeRunc)}

## Ours is like crun, runc differs

${likeCrun.length === 0 ? "None." : three(likeCrun)}
`;
}

writeMarked(optionsPage, optionsPart, optionsReference());
if (process.argv.includes("--options")) process.exit(0);

const folder = mkdtempSync(join(tmpdir(), "kobako-differences-"));
try {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const { code } = await run([process.execPath, vitest, "run", "--project=native"], {
    cwd: root,
    env: { KOBAKO_DIFFERENCES: folder },
    show: true,
  });
  const recorded = readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Recorded,
  );
  if (recorded.length === 0) throw new Error("no answers: did the tests run?");
  writeFileSync(target, page(recorded));
  console.log(`${target}: ${recorded.length} questions`);
  process.exitCode = code;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
