import { RuntimeError } from "../errors/runtime-error.ts";
import { assertSameRequest, type Fingerprint } from "./fingerprint.ts";

interface Entry {
  readonly id: string;
  readonly fingerprint: Fingerprint;
  /** Undefined once it is made. */
  making: Promise<unknown> | undefined;
  /** Whether a caller has been told the id. */
  answered: boolean;
}

/**
 * Names that are taken, and the creations under way: the idempotency of RunPodSandbox and
 * CreateContainer. A creation is nobody's own: it goes on when its caller goes away, because the
 * caller comes back with the same request (a kubelet retries after its deadline), and then finds it.
 */
export class Creations {
  readonly #entries = new Map<string, Entry>();
  readonly #what: string;

  /** `what` names the thing in errors: "sandbox", "container". */
  constructor(what: string) {
    this.#what = what;
  }

  /** Takes a name for something that a former daemon made. Its first retry is answered with the id. */
  adopt(name: string, id: string, fingerprint: Fingerprint): void {
    this.#entries.set(name, { id, fingerprint, making: undefined, answered: false });
  }

  /** Gives the name free, if it is this one's. */
  release(name: string, id: string): void {
    if (this.#entries.get(name)?.id === id) this.#entries.delete(name);
  }

  /**
   * Returns the id of the thing called `name`, made by `make(id)` unless it is there or under way.
   * An equal request joins what is under way, and is told the id once more when the answer was lost
   * and `fresh(id)` says that the thing is still as it was made.
   * `signal` ends the waiting, not the creation.
   * @throws RuntimeError `already-exists` naming the id, and the field where the requests differ.
   */
  async run(
    name: string,
    asked: Fingerprint,
    newId: () => string,
    make: (id: string) => Promise<unknown>,
    fresh: (id: string) => boolean,
    signal: AbortSignal,
  ): Promise<string> {
    const existing = this.#entries.get(name);
    if (existing !== undefined) {
      assertSameRequest(`${this.#what} "${name}"`, existing.id, existing.fingerprint, asked);
      if (existing.making === undefined && (existing.answered || !fresh(existing.id))) {
        throw new RuntimeError(
          "already-exists",
          `${this.#what} "${name}" exists as ${existing.id}: remove it first, or ask for another attempt`,
          {
            subject: { id: existing.id },
          },
        );
      }
    }
    const entry = existing ?? this.#begin(name, asked, newId(), make);
    if (entry.making !== undefined) await waitFor(entry.making, signal);
    entry.answered = !signal.aborted;
    return entry.id;
  }

  /** Waits for every creation under way, however it ends. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#entries.values()].map((entry) => entry.making));
  }

  #begin(name: string, fingerprint: Fingerprint, id: string, make: (id: string) => Promise<unknown>): Entry {
    const entry: Entry = { id, fingerprint, making: undefined, answered: false };
    this.#entries.set(name, entry);
    entry.making = make(id).then(
      () => {
        entry.making = undefined;
      },
      (error: unknown) => {
        if (this.#entries.get(name) === entry) this.#entries.delete(name);
        throw error;
      },
    );
    // A caller that went away must not turn a failure into an unhandled rejection.
    entry.making.catch(() => undefined);
    return entry;
  }
}

/** `work`, or the signal's reason when that comes first. */
async function waitFor(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
