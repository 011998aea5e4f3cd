/** `kobako-monitor --unpin`: a network namespace's pin goes, whatever the host did with its folder meanwhile. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { monitorBinary } from "../../support/monitor.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** In a mount namespace of its own: pins a namespace, does what `ip netns add` does first on a host, unpins. */
const script = `
mkdir "$1"
touch "$1/pin"
mount --bind /proc/self/ns/net "$1/pin"
for layer in $(seq "$2"); do mount --rbind --make-shared "$1" "$1"; done
"$3" --unpin "$1/pin" || exit 1
test ! -e "$1/pin"
`;

it.each([0, 1, 2])("a pin below %d mounts of its folder onto itself is removed", async (layers) => {
  await using folder = await tempDir("unpin");
  const { status, stderr } = spawnSync(
    "unshare",
    ["--mount", "sh", "-e", "-c", script, "sh", join(folder.path, "netns"), String(layers), monitorBinary],
    { encoding: "utf8" },
  );
  expect(status, stderr).toBe(0);
});
