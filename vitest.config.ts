/**
 * unit: pure, beside the code, seconds. contract, native (runtimes side by side), integration, e2e: cross the kernel or the wire, as root.
 * Started by hack/check and hack/test under the project's own Node; KOBAKO_SOAK=1 raises the counts.
 */
import { defineConfig } from "vitest/config";
import { Results } from "./test/support/results.ts";
import { within } from "./test/support/slowness.ts";

const minuteMs = within(60_000);
const kernel = {
  pool: "forks" as const,
  testTimeout: minuteMs,
  hookTimeout: minuteMs,
  // For what comes at once, and later where other work shares the processor.
  expect: { poll: { timeout: within(10_000), interval: 20 } },
};
const clusterTests = "test/e2e/kubernetes/cluster/**/*.test.ts";
const soak = process.env.KOBAKO_SOAK === "1";

export default defineConfig({
  test: {
    reporters: [process.env.KOBAKO_VERBOSE === "1" ? "verbose" : "default", new Results()],
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "src/**/*.test.ts",
            "cri-api/**/*.test.ts",
            "hack/**/*.test.ts",
            "test/support/**/*.test.ts",
          ],
          // Thousands of damaged conversations take seconds where other work shares the processor.
          testTimeout: minuteMs,
        },
      },
      { test: { name: "contract", include: ["test/contract/**/*.test.ts"], ...kernel, maxWorkers: 2 } },
      {
        test: { name: "native", include: ["test/native/**/*.test.ts"], ...kernel, maxWorkers: 2 },
      },
      { test: { name: "integration", include: ["test/integration/**/*.test.ts"], ...kernel } },
      // Inside a systemd that test/e2e/systemd.test.ts starts.
      { test: { name: "systemd", include: ["test/systemd/**/*.test.ts"], ...kernel } },
      // Needs cgroup v2 alone and AppArmor: run in the guest of hack/guest.
      { test: { name: "guest", include: ["test/guest/**/*.test.ts"], ...kernel } },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: [clusterTests],
          ...kernel,
          testTimeout: (soak ? 30 : 3) * minuteMs,
          // Each file has a daemon of its own; two at a time is what a small machine gives honest timings for.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "kubernetes",
          // Started by hack/cluster test only, which gives them a cluster.
          include: [clusterTests],
          ...kernel,
          testTimeout: 5 * minuteMs,
          maxWorkers: 2,
        },
      },
    ],
  },
});
