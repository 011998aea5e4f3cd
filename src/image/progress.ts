/** How far a pull is, layer by layer. */

export type LayerState = "waiting" | "downloading" | "extracting" | "done" | "exists";

export interface PullProgress {
  /** Of the layer as the registry has it; its diff id when the whole image was here already. */
  readonly digest: string;
  readonly state: LayerState;
  /** Downloaded so far. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export type OnProgress = (progress: PullProgress) => void;

/** Between two reports of one layer in the same state, milliseconds. */
const intervalMs = 100;

/** Turns what happens to one layer into reports: every change of state, and bytes at most ten times a second. */
export class LayerProgress {
  readonly #report: OnProgress;
  readonly #digest: string;
  readonly #totalBytes: number;
  #state: LayerState = "waiting";
  #bytes = 0;
  #reportedAtMs = 0;

  constructor(layer: { digest: string; sizeBytes: number }, report: OnProgress) {
    this.#digest = layer.digest;
    this.#totalBytes = layer.sizeBytes;
    this.#report = report;
    this.#send();
  }

  /** `bytes` have come in all. */
  downloaded(bytes: number): void {
    this.#bytes = bytes;
    const state = bytes >= this.#totalBytes ? "extracting" : "downloading";
    if (state === this.#state && performance.now() - this.#reportedAtMs < intervalMs) return;
    this.#state = state;
    this.#send();
  }

  finish(state: "done" | "exists"): void {
    this.#state = state;
    this.#bytes = this.#totalBytes;
    this.#send();
  }

  #send(): void {
    this.#reportedAtMs = performance.now();
    this.#report({
      digest: this.#digest,
      state: this.#state,
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
    });
  }
}
