/**
 * One question to all three runtimes, each with a bundle of its own. What ours does must be what at least one of
 * the others does; where it is like neither, that is a finding, and the test fails until the difference is
 * either gone or explained in the test (`differs`). An explanation that explains nothing fails as well.
 * With KOBAKO_DIFFERENCES (a folder) the answers are left there, one file per question, for hack/differences.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { Bundle, type Spec } from "../integration/oci/bundle.ts";
import { removeCgroups } from "../support/host.ts";
import { waitFor } from "../support/wait.ts";
import { ours, type Runtime, type RuntimeName, runtimes } from "./runtimes.ts";

/** JSON without undefined: what can be compared and written down. */
export type Answer =
  | string
  | number
  | boolean
  | null
  | readonly Answer[]
  | { readonly [key: string]: Answer };

export interface Question {
  /** What stands before each runtime's own command: a namespace to call it from. */
  readonly before?: readonly string[];
  /** Changes the bundle's specification before anything runs. */
  readonly change?: (spec: Spec, bundle: Bundle) => void;
  /** Does something and says what came of it. Ids and paths: see `plain`. */
  readonly observe: (bundle: Bundle, runtime: Runtime) => Answer | Promise<Answer>;
  /** What the specification (or runc's documentation) says; ours must answer this. */
  readonly expected?: Answer;
  /** Why ours is right to answer unlike both others. */
  readonly differs?: string;
}

export interface Recorded {
  readonly name: string;
  readonly answers: Readonly<Record<RuntimeName, Answer>>;
  readonly differs?: string;
}

/** A question as a test. */
export function compare(title: string, question: Question): void {
  it(title, async () => {
    const answers = {} as Record<RuntimeName, Answer>;
    for (const runtime of runtimes) {
      await using bundle = new Bundle(
        (spec, b) => {
          spec.ociVersion = "1.0.2"; // the newest that Debian's crun knows
          question.change?.(spec, b);
        },
        [...(question.before ?? []), ...runtime.command],
      );
      try {
        answers[runtime.name] = await question.observe(bundle, runtime);
      } catch (cause) {
        throw new Error(`${runtime.name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
      }
      if (runtime !== ours) await clear(bundle);
    }
    record(answers, question.differs);
    judge(answers, question);
  });
}

/** What the others leave, and when it goes, is not asked. Ours is, at the bundle's end. */
async function clear(bundle: Bundle): Promise<void> {
  bundle.oci(["delete", "--force", bundle.id]);
  await waitFor("the end of another runtime's cgroups", () => {
    removeCgroups(bundle.cgroup);
    return bundle.traces().every((path) => !path.startsWith("/sys/fs/cgroup/"));
  });
}

function judge(answers: Readonly<Record<RuntimeName, Answer>>, question: Question): void {
  const own = answers["kobako-oci"];
  if (question.expected !== undefined) expect(own).toEqual(question.expected);
  const alone = !isDeepStrictEqual(own, answers.runc) && !isDeepStrictEqual(own, answers.crun);
  if (question.differs !== undefined) expect(alone, `"differs" is given, but ours is not alone`).toBe(true);
  else if (alone) {
    expect(own, "like neither runc (here) nor crun").toEqual(answers.runc);
    expect.fail(`unlike runc and crun: ${JSON.stringify(answers)}`);
  }
}

function record(answers: Readonly<Record<RuntimeName, Answer>>, differs: string | undefined): void {
  const folder = process.env.KOBAKO_DIFFERENCES;
  if (folder === undefined) return;
  const name = expect.getState().currentTestName ?? "";
  const recorded: Recorded = { name, answers, ...(differs === undefined ? {} : { differs }) };
  const file = `${createHash("sha256").update(name).digest("hex").slice(0, 16)}.json`;
  writeFileSync(join(folder, file), JSON.stringify(recorded));
}

/**
 * The lines that script(1) gives of a terminal, without its own end of input. crun takes what comes from the terminal
 * at times for a line of its log, with colour and time.
 */
export function terminalLines(text: string): string[] {
  return text
    .replaceAll("\r", "")
    .replace("^@", "")
    .replaceAll("\u001b[1;31m", "")
    .replaceAll("\u001b[0m", "")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z: /g, "")
    .trimEnd()
    .split("\n");
}

/** Text with what differs by chance replaced: the bundle's id, its folders, its cgroup. */
export function plain(text: string, bundle: Bundle): string {
  return text
    .replaceAll(bundle.cgroup, "CGROUP")
    .replaceAll(bundle.state, "ROOT")
    .replaceAll(bundle.folder, "BUNDLE")
    .replaceAll(bundle.id, "ID");
}
