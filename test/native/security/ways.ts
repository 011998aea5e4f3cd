/**
 * The security bar's tests of kobako-oci run twice: with openat2(2), and where it answers ENOSYS, so that the walk
 * made by hand holds as well. Numbers of rows stand in the titles.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { binary, Bundle, type Spec } from "../../integration/oci/bundle.ts";
import { program } from "../../support/programs.ts";

/** What openat2 answers: 0: it works; ENOSYS before kernel 5.6; EPERM under a filter that does not know it. */
const [works, enosys, eperm] = [0, 38, 1];

/** Counts of tests that meet a race: as many as tell, and the bar's own number under KOBAKO_SOAK=1. */
export function times(usual: number, soak: number): number {
  return process.env.KOBAKO_SOAK === "1" ? soak : usual;
}

export interface Way {
  /** kobako-oci with what stands before its arguments. */
  readonly command: readonly string[];
  /** A bundle whose runtime is called this way. */
  bundle(change?: (spec: Spec, bundle: Bundle) => void): Bundle;
  /** The compiled test/fixtures/programs/NAME.c as a file on this machine. */
  tool(name: string): string;
}

/** Defines the tests for both ways. What `way` gives can be used inside of tests only. filtered: for EPERM as well. */
export function bothWays(title: string, define: (way: Way) => void, more: { filtered?: boolean } = {}): void {
  const titles = { [works]: "", [enosys]: ", without openat2", [eperm]: ", openat2 refused by a filter" };
  for (const answer of [works, enosys, ...(more.filtered === true ? [eperm] : [])])
    describe(`${title}${titles[answer]}`, () => {
      let folder = "";
      const tool = (name: string): string => {
        const path = join(folder, name);
        writeFileSync(path, program(name), { mode: 0o755 });
        return path;
      };
      const command: string[] = [];
      beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "kobako-security-"));
        const before = answer === works ? [] : [tool("without-openat2"), `${answer}`];
        command.push(...before, binary);
        const [file = "", ...args] = [...before, tool("openat2")];
        const seen = Number(execFileSync(file, args).toString());
        if (seen !== answer) throw new Error(`openat2 answers ${seen}, expected ${answer}`);
      });
      afterAll(() => rmSync(folder, { recursive: true, force: true }));
      define({ command, tool, bundle: (change) => new Bundle(change, command) });
    });
}

/** Two names that are exchanged all the time, until disposed of. */
export class Swap implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor(way: Way, a: string, b: string) {
    this.#child = spawn(way.tool("swap"), [a, b], { stdio: "ignore" });
    this.#gone = new Promise((resolve) => this.#child.once("exit", () => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) throw new Error(`swap ended with ${this.#child.exitCode}`);
    this.#child.kill("SIGKILL");
    await this.#gone;
  }
}
