/**
 * kobako-unpack, the native helper for files that hostile hands wrote: its verbs, and its way of answering.
 * Each answer is one line of JSON; `"ok": false` carries a kind and a sentence of ours.
 */
import { RuntimeError, type ErrorKind } from "../errors/runtime-error.ts";
import { run, type RunOptions } from "./spawn.ts";

export type HelperAnswer = Readonly<Record<string, unknown>>;

const kinds: ReadonlySet<string> = new Set<ErrorKind>(["invalid-argument", "resource-exhausted", "internal"]);

/**
 * The answers in `stdout`. @throws RuntimeError of the kind that the helper names, with its sentence; `internal`
 * when the helper said nothing that it should.
 */
export function parseAnswers(stdout: string): HelperAnswer[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map(parseAnswer);
}

function parseAnswer(line: string): HelperAnswer {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch (cause) {
    throw new RuntimeError("internal", `unexpected answer of kobako-unpack: ${line.slice(0, 200)}`, {
      cause,
    });
  }
  if (typeof answer !== "object" || answer === null || !("ok" in answer)) {
    throw new RuntimeError("internal", `unexpected answer of kobako-unpack: ${line.slice(0, 200)}`);
  }
  if (answer.ok === true) return answer as HelperAnswer;
  const { kind, message } = answer as { kind?: unknown; message?: unknown };
  throw new RuntimeError(
    typeof kind === "string" && kinds.has(kind) ? (kind as ErrorKind) : "internal",
    typeof message === "string" ? message : "kobako-unpack failed without a word",
  );
}

/** A whole number of an answer. @throws RuntimeError `internal` when it is none. */
export function answerNumber(answer: HelperAnswer | undefined, key: string): number {
  const value = answer?.[key];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new RuntimeError("internal", `kobako-unpack answered no number "${key}"`);
}

/** Runs one verb to its end. @throws RuntimeError as `run` and `parseAnswers`. */
export async function runHelper(
  binary: string,
  args: readonly string[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<HelperAnswer[]> {
  const result = await run(binary, args, options, signal);
  const answers = parseAnswers(result.stdout.toString());
  if (answers.length > 0 && result.code === 0) return answers;
  const end = result.signal ?? `status ${result.code}`;
  throw new RuntimeError(
    "internal",
    `kobako-unpack ended with ${end}: ${result.stderr.toString().slice(0, 500).trim() || "it said nothing"}`,
  );
}
