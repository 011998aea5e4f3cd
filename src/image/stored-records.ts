import { documentCodec, type Store } from "../store/store.ts";
import type { ImageRecord, ImageRecords } from "./image.ts";

/** Image records in the table `image` of the database. A row that can't be read is told to `bad` and left alone. */
export function storedRecords(store: Store, bad: (id: string, error: unknown) => void): ImageRecords {
  const table = store.table<ImageRecord>("image", documentCodec<ImageRecord>());
  return {
    all: () => table.all(bad),
    put: (record) => store.transaction(() => table.put(record)),
    remove: (id) => store.transaction(() => table.remove(id)),
    sync: () => store.syncLog(),
  };
}
