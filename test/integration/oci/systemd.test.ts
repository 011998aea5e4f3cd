/**
 * kobako-oci --systemd-cgroup, asked of a real systemd (252, under systemd-nspawn): units, their properties, what the
 * kernel has of them, and what is left. With v2 the limits are tried where the machine's v2 tree has the controllers
 * (hack/guest); elsewhere the unit alone.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readCgroupLayout } from "../../../src/cgroup/layout.ts";
import { underSystemd } from "../../support/systemd.ts";
import { Bundle, binary, type Spec } from "./bundle.ts";

const limits = {
  memory: { limit: 64 << 20 },
  cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0" },
  pids: { limit: 77 },
};

/** A bundle that sleeps; `sh` runs lines beside it under systemd, $oci, $id and $b stand for the obvious. */
function sleeping(change: (spec: Spec, id: string) => void = () => {}): Bundle {
  const bundle = new Bundle((s, b) => {
    s.process.args = ["/bin/sleep", "1000"];
    s.linux.cgroupsPath = `kt-a.slice:kobako:${b.id}`;
    change(s, b.id);
  });
  bundle.write();
  return bundle;
}

function sh(b: Bundle, version: "v1" | "v2", lines: string): { code: number; output: string } {
  const head = `id=${b.id} b=${b.folder} unit=kobako-${b.id}.scope
oci="${binary} --root ${b.state} --systemd-cgroup"
pid() { $oci state $id | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p'; }
show() { systemctl show "$@" | sort; }
left() { find /sys/fs/cgroup -name "*$id*"; ls ${b.state}; systemctl show -P LoadState $unit; }`;
  return underSystemd(version, [b.folder], `${head}\n${lines}`);
}

const ran = (output: string) => ({ code: 0, output });

describe("kobako-oci --systemd-cgroup on cgroup v1", () => {
  const v1 = readCgroupLayout().version === 1;
  const need = (skip: (note: string) => void) => {
    if (!v1) skip("this kernel has no v1 hierarchies");
  };

  it("makes the scope in its slice, with the limits as properties and in every hierarchy; delete takes all of it back", async (t) => {
    need(t.skip);
    await using b = sleeping((s) => {
      s.linux.resources = limits;
    });
    const r = sh(
      b,
      "v1",
      `$oci create -b $b $id </dev/null && $oci start $id
      show $unit -p Slice,ControlGroup,Delegate,MemoryLimit,CPUShares,CPUQuotaPerSecUSec,TasksMax,DevicePolicy,AllowedCPUs
      grep -c "/kt.slice/kt-a.slice/$unit" /proc/$(pid)/cgroup
      cat /sys/fs/cgroup/memory/kt.slice/kt-a.slice/$unit/memory.limit_in_bytes
      cat /sys/fs/cgroup/cpu/kt.slice/kt-a.slice/$unit/cpu.cfs_quota_us
      cat /sys/fs/cgroup/cpuset/kt.slice/kt-a.slice/$unit/cpuset.cpus
      $oci exec $id /bin/cat /proc/self/cgroup | grep -c ":/$"
      $oci delete -f $id; echo "delete $?"; left; exit 0`,
    );
    const hierarchies = new Set(readCgroupLayout().controllers.values()).size;
    expect(r).toEqual(
      ran(
        `${[
          "AllowedCPUs=0",
          "CPUQuotaPerSecUSec=500ms",
          "CPUShares=512",
          `ControlGroup=/kt.slice/kt-a.slice/kobako-${b.id}.scope`,
          "Delegate=yes",
          "DevicePolicy=strict",
          "MemoryLimit=67108864",
          "Slice=kt-a.slice",
          "TasksMax=77",
          hierarchies,
          64 << 20,
          50_000,
          0,
          hierarchies + 1, // as it sees itself, the v2 tree too
          "delete 0",
          "not-found",
        ].join("\n")}\n`,
      ),
    );
  });

  it("update tells systemd of a quota by the period that holds", async (t) => {
    need(t.skip);
    await using b = sleeping((s) => {
      s.linux.resources = { cpu: { quota: 20_000, period: 40_000 } };
    });
    const r = sh(
      b,
      "v1",
      `$oci create -b $b $id </dev/null && $oci update --cpu-quota 30000 $id
      show $unit -p CPUQuotaPerSecUSec,CPUQuotaPeriodUSec
      cd /sys/fs/cgroup/cpu/kt.slice/kt-a.slice/$unit; systemctl daemon-reload; cat cpu.cfs_quota_us cpu.cfs_period_us
      $oci update --cpu-period 50000 $id; show $unit -p CPUQuotaPerSecUSec,CPUQuotaPeriodUSec
      $oci delete -f $id; exit 0`,
    );
    expect(r).toEqual(
      ran(
        "CPUQuotaPerSecUSec=750ms\nCPUQuotaPeriodUSec=40ms\n30000\n40000\nCPUQuotaPerSecUSec=600ms\nCPUQuotaPeriodUSec=50ms\n",
      ),
    );
  });
});

describe("kobako-oci --systemd-cgroup on cgroup v2", () => {
  it("makes the scope in its slice and is alone in it; an exec is in it; delete takes it back", async () => {
    await using b = sleeping();
    const r = sh(
      b,
      "v2",
      `$oci create -b $b $id </dev/null && $oci start $id
      show $unit -p Slice,ControlGroup,Delegate,DevicePolicy
      sed -n 's/^0:://p' /proc/$(pid)/cgroup; wc -l </sys/fs/cgroup/kt.slice/kt-a.slice/$unit/cgroup.procs
      $oci exec -d $id /bin/sleep 1000; wc -l </sys/fs/cgroup/kt.slice/kt-a.slice/$unit/cgroup.procs
      $oci delete -f $id; echo "delete $?"; left; exit 0`,
    );
    expect(r).toEqual(
      ran(
        `ControlGroup=/kt.slice/kt-a.slice/kobako-${b.id}.scope
Delegate=yes
DevicePolicy=strict
Slice=kt-a.slice
/kt.slice/kt-a.slice/kobako-${b.id}.scope
1
2
delete 0
not-found
`,
      ),
    );
  });

  it("gives the limits as properties, and the kernel has them", async (t) => {
    if (readCgroupLayout().version !== 2) t.skip("this machine's controllers are in v1's hierarchies");
    await using b = sleeping((s) => {
      s.linux.resources = {
        ...limits,
        memory: { limit: 64 << 20, swap: 96 << 20, reservation: 16 << 20 },
        unified: { "memory.high": "60000000", "memory.oom.group": "1" },
      };
    });
    const r = sh(
      b,
      "v2",
      `$oci create -b $b $id </dev/null
      show $unit -p MemoryMax,MemoryHigh,MemoryLow,MemorySwapMax,CPUWeight,CPUQuotaPerSecUSec,TasksMax,AllowedCPUs
      cd /sys/fs/cgroup/kt.slice/kt-a.slice/$unit; cat memory.max memory.oom.group cpu.max pids.max cpuset.cpus
      systemctl daemon-reload; cat memory.max cpu.max
      $oci delete -f $id; left; exit 0`,
    );
    expect(r).toEqual(
      ran(
        `AllowedCPUs=0
CPUQuotaPerSecUSec=500ms
CPUWeight=59
MemoryHigh=60000000
MemoryLow=16777216
MemoryMax=67108864
MemorySwapMax=33554432
TasksMax=77
67108864
1
50000 100000
77
0
67108864
50000 100000
not-found
`,
      ),
    );
  });

  it("without linux.cgroupsPath the scope is kobako-ID in system.slice", async () => {
    await using b = sleeping((s) => {
      delete (s.linux as Partial<Spec["linux"]>).cgroupsPath;
    });
    const r = sh(
      b,
      "v2",
      `$oci create -b $b $id </dev/null; sed -n 's/^0:://p' /proc/$(pid)/cgroup; $oci start $id
      $oci exec $id /bin/true; echo "exec $?"; $oci delete -f $id; left; exit 0`,
    );
    b.spec.linux.cgroupsPath = `/none-${b.id}`; // where the bundle looks for what it left
    expect(r).toEqual(ran(`/system.slice/kobako-${b.id}.scope\nexec 0\nnot-found\n`));
  });

  it("annotations org.systemd.property.* are properties, Sec in seconds; others are left alone", async () => {
    await using b = sleeping((s) => {
      s.annotations = {
        "org.systemd.property.TimeoutStopSec": "3.5",
        "org.systemd.property.Description": "'by annotation'",
        "org.systemd.property.CPUWeight": "uint64 33",
        "org.systemd.property.After": "['a.service', 'b.service']",
        "org.example.property.MemoryMax": "1",
      };
    });
    const r = sh(
      b,
      "v2",
      `$oci create -b $b $id </dev/null; show $unit -p TimeoutStopUSec,Description,CPUWeight,MemoryMax
      systemctl show -P After $unit | grep -o "[ab].service" | sort; $oci delete -f $id; left; exit 0`,
    );
    expect(r).toEqual(
      ran(
        "CPUWeight=33\nDescription=by annotation\nMemoryMax=infinity\nTimeoutStopUSec=3.500000s\na.service\nb.service\nnot-found\n",
      ),
    );
  });

  it.each([
    [{ "org.systemd.property.No-Name": "1" }, "annotations.org.systemd.property.No-Name"],
    [{ "org.systemd.property.CPUWeight": "many" }, "annotations.org.systemd.property.CPUWeight"],
    [{ "org.systemd.property.NoSuchProperty": "true" }, "NoSuchProperty"],
  ])("%j is refused by name, and no unit is left", async (annotations, name) => {
    await using b = sleeping((s) => {
      s.annotations = annotations;
    });
    const r = sh(b, "v2", `$oci create -b $b $id </dev/null; echo "create $?"; left; exit 0`);
    expect(r.output).toContain(name);
    expect(r.output).toMatch(/create 1\nnot-found\n$/);
  });

  it("a create that fails leaves no unit; a unit that lives is not taken over", async () => {
    await using b = sleeping((s) => {
      s.process.args = ["/no/such/program"];
    });
    const r = sh(
      b,
      "v2",
      `$oci create -b $b $id </dev/null 2>&1 | grep -o "/no/such/program"; left
      systemd-run --quiet --scope --unit=$unit /bin/sleep 1000 &
      until systemctl is-active --quiet $unit; do sleep 0.01; done
      $oci create -b $b $id </dev/null 2>&1 | grep -o "unit $unit: file exists"; systemctl is-active $unit; exit 0`,
    );
    expect(r.output.split("\n").filter(Boolean)).toEqual([
      "/no/such/program",
      "not-found",
      `unit kobako-${b.id}.scope: file exists`,
      "active",
    ]);
  });

  it("a create without a state: delete -f knows without --systemd-cgroup that there is a scope", async () => {
    await using b = sleeping((s) => {
      delete (s.linux as Partial<Spec["linux"]>).cgroupsPath;
    });
    const r = sh(
      b,
      "v2",
      `$oci create -b $b $id </dev/null; pid=$(pid); rm ${b.state}/$id/state.json
      ${binary} --root ${b.state} delete -f $id; echo "delete $?"
      kill -0 $pid 2>/dev/null && echo lives; left; exit 0`,
    );
    b.spec.linux.cgroupsPath = `/none-${b.id}`; // where the bundle looks for what it left
    expect(r).toEqual(ran("delete 0\nnot-found\n"));
  });

  it("goes by the system bus where systemd's own socket is not there", async () => {
    await using b = sleeping();
    const r = sh(
      b,
      "v2",
      `systemctl start dbus.service
      until busctl --system get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
        Version >/dev/null 2>&1; do sleep 0.01; done
      mv /run/systemd/private /run/systemd/elsewhere
      $oci create -b $b $id </dev/null; echo "create $?"; sed -n 's/^0:://p' /proc/$(pid)/cgroup
      $oci delete -f $id; echo "delete $?"; mv /run/systemd/elsewhere /run/systemd/private; left; exit 0`,
    );
    expect(r).toEqual(ran(`create 0\n/kt.slice/kt-a.slice/kobako-${b.id}.scope\ndelete 0\nnot-found\n`));
  });

  it("a failed unit of the name is cleared away", async () => {
    await using b = sleeping();
    const r = sh(
      b,
      "v2",
      `systemd-run --quiet --scope --unit=$unit --property=TimeoutStopSec=0.1 /bin/sh -c "trap '' TERM; while :; do sleep 1; done" &
      until systemctl is-active --quiet $unit; do sleep 0.01; done
      systemctl stop $unit; systemctl is-failed $unit
      $oci create -b $b $id </dev/null; echo "create $?"; $oci delete -f $id; left; exit 0`,
    );
    expect(r.output).toMatch(/failed\ncreate 0\nnot-found\n$/);
  });

  it("a scope that systemd stopped is a stopped container that can be deleted", async () => {
    await using b = sleeping((s) => {
      // PID 1 of a container gets no SIGTERM that it does not handle: systemd's SIGKILL comes after this.
      s.annotations = { "org.systemd.property.TimeoutStopSec": "0.1" };
    });
    const r = sh(
      b,
      "v2",
      `$oci run -d -b $b $id </dev/null; systemctl stop $unit; $oci state $id | grep -o stopped
      $oci delete $id; echo "delete $?"; left; exit 0`,
    );
    expect(r).toEqual(ran("stopped\ndelete 0\nnot-found\n"));
  });
});

describe("kobako-oci --systemd-cgroup, refused", () => {
  it.each(["/a/b", "a/b", "name", "a.slice:name", "a.slice:b:c:d"])("linux.cgroupsPath %s", async (path) => {
    await using b = sleeping((s) => {
      s.linux.cgroupsPath = path;
    });
    const r = sh(b, "v2", `$oci create -b $b $id </dev/null; echo "create $?"; left; exit 0`);
    expect(r.output).toContain(`"${path}" is not "slice:prefix:name"`);
    expect(r.output).toMatch(/create 1\nnot-found\n$/);
    b.spec.linux.cgroupsPath = `/none-${b.id}`;
  });

  it("of a caller other than root: the error says so, as features does", async () => {
    await using b = sleeping((s) => {
      s.linux.namespaces.push({ type: "user" });
    });
    execFileSync("chown", ["-R", "4711", b.folder]);
    const features = JSON.parse(b.oci(["features"]).stdout) as { linux: { cgroup: object } };
    expect(features.linux.cgroup).toMatchObject({ systemd: true, systemdUser: false });
    const args = ["--systemd-cgroup", "create", "-b", b.folder, b.id];
    const r = b.through('exec setpriv --reuid 4711 --clear-groups "$@"', args);
    expect(r.code).toBe(1);
    expect(r.stderr).toContain("the systemd cgroup driver serves root alone: leave --systemd-cgroup out");
    expect(b.traces()).toEqual([]);
  });

  it("on a machine without systemd: the error says what to do instead", async (t) => {
    if (existsSync("/run/systemd/system")) t.skip("this machine runs systemd");
    await using b = sleeping();
    const r = b.oci(["create", "-b", b.folder, b.id], undefined, ["--systemd-cgroup"]);
    expect(r.code).toBe(1);
    expect(r.stderr).toContain("does not run systemd");
    expect(r.stderr).toContain("use cgroupfs");
  });
});
