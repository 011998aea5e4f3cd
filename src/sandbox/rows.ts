import { fromJson, toJson } from "../store/json.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxState } from "./state.ts";

type Detail = Pick<Sandbox, "requestedHandler" | "cgroupParent" | "ownsCgroupParent">;

/** A sandbox as a row of the table `sandbox` (src/store/schema.ts). */
export const sandboxRows = {
  columns: [
    "id",
    "state",
    "handler",
    "created_ns",
    "boot_id",
    "folder",
    "netns",
    "monitor",
    "network",
    "reason",
    "detail",
    "fingerprint",
    "config",
  ],

  toRow(s: Sandbox): (string | bigint | null)[] {
    const detail: Detail = {
      requestedHandler: s.requestedHandler,
      cgroupParent: s.cgroupParent,
      ownsCgroupParent: s.ownsCgroupParent,
    };
    return [
      s.id,
      s.state,
      s.handler,
      s.createdAtNs,
      s.bootId,
      s.folder,
      s.netnsPath ?? null,
      s.monitor === undefined ? null : toJson(s.monitor),
      s.network === undefined ? null : toJson(s.network),
      s.reason,
      toJson(detail),
      toJson(s.fingerprint),
      toJson(s.config),
    ];
  },

  fromRow(row: Record<string, unknown>): Sandbox {
    return {
      id: String(row.id),
      state: String(row.state) as SandboxState,
      handler: String(row.handler),
      createdAtNs: row.created_ns as bigint,
      bootId: String(row.boot_id),
      folder: String(row.folder),
      netnsPath: row.netns === null ? undefined : String(row.netns),
      monitor: row.monitor === null ? undefined : fromJson(String(row.monitor)),
      network: row.network === null ? undefined : fromJson(String(row.network)),
      reason: String(row.reason),
      ...fromJson<Detail>(String(row.detail)),
      fingerprint: fromJson(String(row.fingerprint)),
      config: fromJson(String(row.config)),
    };
  },
};
