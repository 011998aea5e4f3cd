/** hack/fuzz: runs the libFuzzer targets, keeps their corpora small, and notes what was run in docs/fuzzing.md. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { run } from "./run.ts";
import { markdownTable } from "./text-table.ts";

const root = join(import.meta.dirname, "..");
const programs = join(root, "build/fuzz");
const corpora = join(root, "test/corpus/fuzz");
const found = join(root, "build/fuzz-found");
const page = join(root, "docs/fuzzing.md");
/** Files are made and removed thousands of times a second: in memory, unless the caller says where. */
const scratch = process.env.TMPDIR ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
const begin = "<!-- hack/fuzz begins -->";
const end = "<!-- hack/fuzz ends -->";

/** Longest input that is made, in bytes; what a target reads grows with it, and its speed goes. */
const inputBytes: Readonly<Record<string, number>> = { "spec-config": 8192, "container-seccomp": 4096 };
const usualInputBytes = 1024;

/** The folder whose sources name the words that a target knows. */
const words: Readonly<Record<string, readonly string[]>> = {
  "spec-config": ["native/spec"],
  "runtime-state": ["native/runtime"],
  "cgroup-path": ["native/cgroup"],
  "container-seccomp": ["native/container"],
  "monitor-request": ["native/monitor"],
  "unpack-layer": ["native/unpack"],
};

interface Outcome {
  readonly target: string;
  readonly executions: number;
  readonly seconds: number;
  /** Edges of the control flow that were passed, and how many the program has. */
  readonly edges: number;
  readonly edgesOfProgram: number;
  readonly inputs: number;
  readonly hash: string;
}

function linesOf(file: string): string[] {
  return existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : [];
}

/** Writes each line as a file; the names do not matter. */
function unpack(lines: readonly string[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [i, line] of lines.entries()) writeFileSync(join(folder, `${i}`), Buffer.from(line, "base64"));
}

function pack(folder: string): string {
  const lines = readdirSync(folder).map((name) => readFileSync(join(folder, name)).toString("base64"));
  return `${[...new Set(lines)].sort().join("\n")}\n`;
}

/** Short texts in quotes in a room's sources, as libFuzzer's dictionary. */
function dictionary(target: string, folder: string): string[] {
  const texts = new Set<string>();
  for (const room of words[target] ?? [])
    for (const name of readdirSync(join(root, room)).filter((n) => n.endsWith(".c")))
      for (const [, text = ""] of readFileSync(join(root, room, name), "utf8").matchAll(
        /"([\w./:-]{2,40})"/g,
      ))
        texts.add(text);
  if (texts.size === 0) return [];
  const file = join(folder, "words");
  writeFileSync(file, [...texts].map((text) => `"${text}"\n`).join(""));
  return [`-dict=${file}`];
}

function lastNumber(output: string, pattern: RegExp): number {
  const all = [...output.matchAll(pattern)];
  return Number(all.at(-1)?.[1] ?? 0);
}

/** Runs one target. Undefined: an input hurt, and the output was shown. */
async function fuzz(target: string, seconds: number, keep: boolean): Promise<Outcome | undefined> {
  const program = join(programs, target);
  const kept = join(corpora, `${target}.txt`);
  const folder = mkdtempSync(join(scratch, "kobako-fuzz-run-"));
  try {
    const [corpus, small] = [join(folder, "corpus"), join(folder, "small")];
    unpack([...linesOf(kept), ...linesOf(join(corpora, `${target}.found.txt`))], corpus);
    mkdirSync(small);
    const longest = `-max_len=${inputBytes[target] ?? usualInputBytes}`;
    const { code, output } = await run(
      [
        program,
        `-max_total_time=${seconds}`,
        longest,
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=1",
        `-artifact_prefix=${found}/${target}-`,
        ...dictionary(target, folder),
        corpus,
      ],
      { cwd: folder, env: { TMPDIR: folder } },
    );
    if (code !== 0) {
      console.log(output.split("\n").slice(-60).join("\n"));
      return undefined;
    }
    if (keep) {
      const merged = await run([program, "-merge=1", longest, small, corpus], {
        cwd: folder,
        env: { TMPDIR: folder },
      });
      if (merged.code !== 0) throw new Error(`${target}: the corpus cannot be minimised\n${merged.output}`);
      writeFileSync(kept, pack(small));
    }
    return {
      target,
      executions: lastNumber(output, /stat::number_of_executed_units:\s+(\d+)/g),
      seconds,
      edges: lastNumber(output, /cov: (\d+)/g),
      edgesOfProgram: lastNumber(output, /\((\d+) inline 8-bit counters\)/g),
      inputs: linesOf(kept).length,
      hash: createHash("sha256")
        .update(existsSync(kept) ? readFileSync(kept) : "")
        .digest("hex"),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function row(o: Outcome): string[] {
  const share = `${o.edges} of ${o.edgesOfProgram}`;
  return [o.target, `${o.seconds}`, `${o.executions}`, share, `${o.inputs}`, `\`${o.hash.slice(0, 16)}\``];
}

/** The rows of this run in place of those of the same targets; the others stay as they were. */
function note(outcomes: readonly Outcome[]): void {
  const text = readFileSync(page, "utf8");
  const [before = "", rest = ""] = text.split(begin);
  const [table = "", after = ""] = rest.split(end);
  const rows = new Map(
    table
      .split("\n")
      .filter((line) => /^\| \w+-/.test(line))
      .map((line) => line.slice(2, -2).split(" | "))
      .map((cells) => [cells[0] ?? "", cells]),
  );
  for (const o of outcomes) rows.set(o.target, row(o));
  const head = ["target", "seconds", "executions", "edges", "inputs", "corpus (SHA-256)"];
  const sorted = [...rows.values()].sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
  writeFileSync(page, `${before}${begin}\n\n${markdownTable(head, sorted)}\n\n${end}${after}`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: "boolean" } },
});
const seconds = /^\d+$/.test(positionals[0] ?? "") ? Number(positionals.shift()) : 60;
const all = readdirSync(programs).sort();
const unknown = positionals.filter((name) => !all.includes(name));
if (unknown.length > 0 || seconds === 0) {
  console.error(`fuzz: no target ${unknown.join(", ")} (one of: ${all.join(", ")}; seconds: 1 or more)`);
  process.exit(2);
}
mkdirSync(found, { recursive: true });
mkdirSync(corpora, { recursive: true });
let hurt = 0;
for (const target of positionals.length > 0 ? positionals : all) {
  const outcome = await fuzz(target, seconds, values.check !== true);
  if (outcome === undefined) {
    console.log(`FAIL ${target}: see ${found}`);
    hurt++;
    continue;
  }
  console.log(
    `ok ${target}: ${outcome.executions} executions in ${seconds} s, ${outcome.edges} of ${outcome.edgesOfProgram} edges`,
  );
  if (values.check !== true) note([outcome]);
}
process.exitCode = hurt > 0 ? 1 : 0;
