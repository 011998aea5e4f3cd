/** What shims and their runtimes refuse, by their words: each has its own, and no status. */
import { readFileSync } from "node:fs";
import { RuntimeError } from "../../errors/runtime-error.ts";

/**
 * Whether a runtime says that `program` can't be executed: each has words of its own for it. The same words come of a
 * runtime that could not be run itself, then without a word of its own, and of its other failures.
 */
export function isProgramFault(error: unknown, program = ""): boolean {
  if (!(error instanceof RuntimeError) || error.kind === "unavailable") return false;
  const words = withoutProgram(error.message, program);
  return (
    /executable file not found|exec:|exec format error|no such file or directory|permission denied|is a directory/i.test(
      error.message,
    ) && !/unable to retrieve OCI runtime error|mount|namespace|cgroup/i.test(words)
  );
}

/** A path is left out wherever it stands, a name only where it is quoted: it may be a word of the runtime's, too. */
function withoutProgram(message: string, program: string): string {
  if (program.includes("/")) return message.replaceAll(program, "");
  return message.replaceAll(`"${program}"`, "").replaceAll(`\`${program}\``, "");
}

/** What a runtime refuses because of the container's state comes without a status of its own. */
export async function asked(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (error instanceof RuntimeError && /cannot|can't|not (?:running|paused)|paused/i.test(error.message))
      throw new RuntimeError("failed-precondition", errorLine(error), { cause: error });
    throw error;
  });
}

/** Whether a process is said to have ended already. */
export function isFinished(error: RuntimeError): boolean {
  return /already (?:finished|exited|stopped)|not running|process (?:is )?(?:not found|done)|no such process/i.test(
    error.message,
  );
}

/** Whether a call had no answer in its time. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof RuntimeError && error.kind === "deadline-exceeded";
}

/** An error in one line, for a message. */
export function errorLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n").join(" ").slice(0, 1000);
}

/**
 * What CRIU complained of last, in its log: runc's shim leaves a copy when it failed. What only says that it failed,
 * and what it goes on without, is passed over, as by native/runtime/criu.c.
 */
export function criuComplaint(log: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(log, "utf8");
  } catch {
    return undefined; // it was not even started
  }
  const said = [...text.matchAll(/Error \([^)]*\): (.*)/g)].map(([, what = ""]) => what);
  return said.findLast((what) => !/FAILED|failed with|RLIMIT_NOFILE/.test(what))?.slice(0, 500);
}
