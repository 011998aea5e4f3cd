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

const enosys = 38;

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

/** Defines the tests for both ways. What `way` gives can be used inside of tests only. */
export function bothWays(title: string, define: (way: Way) => void): void {
  for (const blocked of [false, true])
    describe(`${title}${blocked ? ", without openat2" : ""}`, () => {
      let folder = "";
      const tool = (name: string): string => {
        const path = join(folder, name);
        writeFileSync(path, program(name), { mode: 0o755 });
        return path;
      };
      const command: string[] = [];
      beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "kobako-security-"));
        command.push(...(blocked ? [tool("without-openat2"), `${enosys}`, binary] : [binary]));
        const seen = execFileSync(blocked ? (command[0] ?? "") : tool("openat2"), [
          ...(blocked ? [`${enosys}`, tool("openat2")] : []),
        ]).toString();
        if (Number(seen) !== (blocked ? enosys : 0)) throw new Error(`openat2 answers ${seen.trim()}`);
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
