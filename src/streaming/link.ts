/** What the server needs of every connection in use to keep it alive and to end it. */
export interface Link {
  /** Not read because nobody takes its input: then its end is noticed by writing only. */
  readonly inputPaused: boolean;
  /** Sends a sign of life, if nothing waits to be sent anyway. */
  ping(): void;
  destroy(fault?: Error): void;
}
