/** Questions about one field of config.json or some that belong together: what the container then has, or a refusal. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bundle, Spec } from "../../integration/oci/bundle.ts";
import { program } from "../../support/programs.ts";
import { type Answer, compare, type Question } from "../compare.ts";

export const refused = "refused";

export interface Field extends Omit<Question, "observe"> {
  /** A shell line in the container; what it prints is the answer. Without one: that the container has run. */
  readonly show?: string;
  /** The compiled test/fixtures/programs/NAME.c of these names, in /bin of the rootfs. */
  readonly programs?: readonly string[];
  /** The answer, of what was printed. */
  readonly answer?: (stdout: string, bundle: Bundle) => Answer;
}

/** Runs the container to its end: what it printed, or "refused" when it did not come to run. */
export function field(title: string, { show = "true", programs = [], answer, change, ...more }: Field): void {
  compare(title, {
    ...more,
    change: (s: Spec, b: Bundle) => {
      for (const name of programs) writeFileSync(join(b.rootfs, "bin", name), program(name), { mode: 0o755 });
      s.process.args = ["/bin/sh", "-c", `echo ran; ${show}`];
      change?.(s, b);
    },
    observe: (b) => {
      const { stdout } = b.run();
      if (!stdout.startsWith("ran\n")) return refused;
      return answer === undefined ? stdout.slice(4) : answer(stdout.slice(4), b);
    },
  });
}

export function sleeping(s: Spec): void {
  s.process.args = ["/bin/sleep", "1000"];
}

/** What the types of Spec do not know. */
export function set(target: object, members: Readonly<Record<string, unknown>>): void {
  Object.assign(target, members);
}
