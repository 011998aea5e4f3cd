/**
 * Whether pods with user namespaces can be made on this machine: the kernel and the filesystems of images decide (an
 * overlay of id-mapped layers, Linux 5.19). Tried once for all handlers, when somebody first wants to know.
 */
import { errorText } from "../errors/runtime-error.ts";
import { abandoned } from "../process/abandoned.ts";
import { run } from "../process/spawn.ts";

const timeoutMs = 10_000;

export class UserNamespaces {
  readonly #monitorBinary: string;
  readonly #folders: readonly [string, string];
  #asked: Promise<string> | undefined;

  /** `folders`: on the filesystems of image layers and of snapshots, neither in the other. */
  constructor(monitorBinary: string, folders: readonly [layers: string, snapshots: string]) {
    this.#monitorBinary = monitorBinary;
    this.#folders = folders;
  }

  /** Why not, as a phrase; "" when it can. @throws RuntimeError `deadline-exceeded`. */
  async missing(signal: AbortSignal): Promise<string> {
    this.#asked ??= this.#probe();
    return await abandoned(this.#asked, "the probe for user namespaces", signal);
  }

  async #probe(): Promise<string> {
    const args = ["--probe-user-namespaces", ...this.#folders];
    try {
      const { code, stderr } = await run(this.#monitorBinary, args, {}, AbortSignal.timeout(timeoutMs));
      return code === 0
        ? ""
        : stderr
            .toString("utf8")
            .trim()
            .replace(/^kobako-monitor: /, "");
    } catch (error) {
      this.#asked = undefined; // of the moment, not of the machine: the next one asks again
      return errorText(error);
    }
  }
}
