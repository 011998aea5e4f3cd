/** The result codes that mean something to us (https://sqlite.org/rescode.html), less what extends them. */
export const sqlite = { error: 1, busy: 5, ioError: 10, corrupt: 11, full: 13, notDatabase: 26 } as const;

/** SQLite's result code of `error`; undefined when it is not SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
}
