/**
 * How far a pull is: a bar per layer on a terminal, drawn over itself; elsewhere a line per change of state.
 * Pure but for the `write` it is given.
 */
import { type PullLayer, PullLayerState } from "../../cri-api/index.ts";

const barWidth = 30;
/** Bars are drawn at most this often. */
const intervalMs = 100;

export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

const words: Readonly<Record<number, string>> = {
  [PullLayerState.PULL_LAYER_WAITING]: "waiting",
  [PullLayerState.PULL_LAYER_DOWNLOADING]: "downloading",
  [PullLayerState.PULL_LAYER_EXTRACTING]: "extracting",
  [PullLayerState.PULL_LAYER_DONE]: "done",
  [PullLayerState.PULL_LAYER_EXISTS]: "already here",
};

export class Progress {
  readonly #out: ProgressOutput;
  readonly #now: () => number;
  readonly #layers = new Map<string, PullLayer>();
  #drawnLines = 0;
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(out: ProgressOutput, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
  }

  update(layer: PullLayer): void {
    const before = this.#layers.get(layer.digest);
    this.#layers.set(layer.digest, layer);
    if (this.#out.isTTY) {
      if (this.#now() - this.#drawnAtMs >= intervalMs || before?.state !== layer.state) this.#draw();
    } else if (before?.state !== layer.state) {
      this.#out.write(
        `${shortDigest(layer.digest)}: ${words[layer.state] ?? layer.state} (${mib(layer.totalBytes)})\n`,
      );
    }
  }

  /** Draws what is left to draw. Call at the end, also of a pull that failed. */
  finish(): void {
    if (this.#out.isTTY && this.#layers.size > 0) this.#draw();
  }

  #draw(): void {
    this.#drawnAtMs = this.#now();
    // A terminal that does not tell its size says 0.
    // More layers than lines could not be drawn over: those that are done make room first.
    const room = Math.max(1, (this.#out.rows || 24) - 2);
    const all = [...this.#layers.values()];
    const hidden = Math.max(0, all.length - room);
    const shown = hidden === 0 ? all : all.toSorted((a, b) => rank(a) - rank(b)).slice(0, room);
    const width = this.#out.columns || 80;
    const lines = shown.map((layer) => bar(layer).slice(0, width - 1));
    // Up to where the last drawing began, then each line anew.
    const up = this.#drawnLines > 0 ? `\u001b[${this.#drawnLines}A` : "";
    this.#out.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join("")}`);
    this.#drawnLines = lines.length;
  }
}

function rank(layer: PullLayer): number {
  return layer.state === PullLayerState.PULL_LAYER_DOWNLOADING ||
    layer.state === PullLayerState.PULL_LAYER_EXTRACTING
    ? 0
    : layer.state === PullLayerState.PULL_LAYER_WAITING
      ? 1
      : 2;
}

function bar(layer: PullLayer): string {
  const name = shortDigest(layer.digest);
  if (layer.state !== PullLayerState.PULL_LAYER_DOWNLOADING) return `${name}  ${words[layer.state] ?? ""}`;
  const total = Number(layer.totalBytes);
  const share = total > 0 ? Math.min(1, Number(layer.doneBytes) / total) : 0;
  const full = Math.floor(share * barWidth);
  const head = full < barWidth ? ">" : "";
  const drawn = `${"=".repeat(full)}${head}`.padEnd(barWidth);
  return `${name}  [${drawn}] ${String(Math.floor(share * 100)).padStart(3)}%  ${mib(layer.doneBytes)} of ${mib(layer.totalBytes)}`;
}

function shortDigest(digest: string): string {
  return digest.replace(/^[a-z0-9]+:/, "").slice(0, 12);
}

function mib(bytes: bigint): string {
  return `${(Number(bytes) / (1 << 20)).toFixed(1)} MiB`;
}
