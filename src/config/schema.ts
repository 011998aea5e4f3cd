/** Every setting, its meaning and its default: the source of what is read, printed and documented. */
import {
  bytes,
  count,
  duration,
  type Field,
  flag,
  oneOf,
  pairs,
  path,
  paths,
  type TableOf,
  tables,
  text,
  texts,
} from "./field.ts";

const handlerName = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;
const hostName = /^(\[[0-9a-f:.]+\]|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)(:\d{1,5})?$/;

export const schema = {
  root: path(
    "/var/lib/kobako",
    "What must outlive a reboot: images, writable layers, the database. One daemon per root.",
  ),
  state: path("/run/kobako", "What need not: sockets, run folders of pods. On a tmpfs, where there is one."),
  default_runtime: text("builtin", "The handler of pods that name none; one of `[runtimes]`."),
  cgroup_driver: oneOf(
    ["auto", "cgroupfs", "systemd"],
    "auto",
    "Who makes cgroups. `auto` is `cgroupfs`; `systemd` needs a machine that runs systemd, else the daemon does not start. A kubelet asks for it and follows. See cgroups.md.",
  ),
  server: {
    socket: path("", "The gRPC socket, mode 0660. Default: `kobako.sock` in `state`."),
    receive_limit: bytes(16 << 20, 1 << 20, 256 << 20, "The largest request."),
    send_limit: bytes(32 << 20, 1 << 20, 256 << 20, "The largest answer."),
    max_connections: count(1024, 4, 16384, "Connections at a time; further ones are closed at once."),
    max_calls: count(2048, 16, 65536, "Calls at a time; further ones are answered with RESOURCE_EXHAUSTED."),
    max_calls_per_connection: count(
      256,
      8,
      65536,
      "Calls at a time of one connection; HTTP/2 makes clients wait for their turn.",
    ),
  },
  streaming: {
    address: text(
      "127.0.0.1",
      "Where exec, attach and port-forward are served, an IP address of this host. The kubelet stands beside: loopback is enough.",
    ),
    port: count(0, 0, 65535, "Its TCP port; 0: any that is free."),
    advertised: text("", "The host in the URLs, where clients do not reach it by `address`."),
    cert: path(
      "",
      "PEM file of a certificate, with `key`. Elsewhere than on loopback there is TLS, without these with a certificate made at start.",
    ),
    key: path("", "PEM file of its key."),
  },
  network: {
    default: oneOf(
      ["none", "embedded"],
      "none",
      "What is used while `conf_dirs` holds no configuration. `none`: the node is not ready until its CNI plugin has arrived, as on a kubeadm node. `embedded`: kobako's own dual-stack bridge.",
    ),
    conf_dirs: paths(
      ["/etc/cni/net.d"],
      "Folders with CNI configurations; the first file by name in the first folder that has one is used.",
    ),
    bin_dirs: paths(
      ["/opt/cni/bin"],
      "Folders with CNI plugins, searched in this order; kobako's own come last.",
    ),
    subnets: texts(
      [],
      "IPv4 subnets that the embedded network tries, the first free one is taken and kept. Empty: a list of its own.",
    ),
  },
  runtimes: tables(
    "NAME",
    {
      type: oneOf(
        ["builtin", "oci", "shim-v2"],
        "builtin",
        "`builtin`: kobako's own; `oci`: a program with runc's command line; `shim-v2`: a containerd shim.",
      ),
      path: path("", "The program; not for `builtin`."),
      options: pairs(
        "Options of the program, by name: for `oci` its global flags without the dashes, an empty text for one without a value.",
      ),
      timeout: duration(
        30_000,
        1_000,
        600_000,
        "How long one run of the program (`oci`) or one call (`shim-v2`) may take before it is killed or given up.",
      ),
      annotations: texts([], "Pod annotations that are handed to the program: exact names, none by default."),
      platform: text(
        "",
        "Images that are pulled for this handler are of this platform, such as `linux/arm64`. Default: the machine's own.",
      ),
      snapshot_options: texts(
        [],
        "More mount options of the containers' root filesystems, such as `index=off`: names of overlayfs, without paths.",
      ),
      rootfs: oneOf(
        ["overlay", "block"],
        "overlay",
        "What a shim is given as a container's root filesystem: an `overlay` mount, or a `block` device with an ext4 of its own, for VMs without a shared folder. `block` is for `shim-v2`, needs mkfs.ext4, debugfs (e2fsprogs) and loop devices, and copies the image for each container.",
      ),
      rootfs_size: bytes(
        10 * 2 ** 30,
        16 << 20,
        16 * 2 ** 40,
        'With `rootfs = "block"`: how large that filesystem is. Its image is sparse: what nobody wrote takes no space.',
      ),
    },
    "A handler that a RuntimeClass can name. `builtin` is always there.",
    (name) => {
      if (!handlerName.test(name))
        throw new Error("must be a handler name: lower-case letters, digits, - and ., at most 63");
    },
  ),
  registries: tables(
    "HOST",
    {
      mirrors: texts(
        [],
        "Addresses that are asked first, in order: `https://host:port`, with a path where the mirror has one.",
        { hot: true },
      ),
      insecure: flag(
        false,
        "Certificates are not checked, and plain http is used where nothing answers https. Loopback addresses are always spoken to so.",
        { hot: true },
      ),
      ca: path("", "PEM file of authorities that are trusted beside the system's.", { hot: true }),
      cert: path("", "PEM file of a client certificate, with `key`.", { hot: true }),
      key: path("", "PEM file of its key.", { hot: true }),
      auth: {
        username: text("", "For pulls that bring no credentials.", { hot: true }),
        password: text("", "Goes with `username`.", { hot: true, secret: true }),
        identity_token: text("", "An OAuth2 refresh token, instead of both.", { hot: true, secret: true }),
        registry_token: text("", "A bearer token, instead of all.", { hot: true, secret: true }),
      },
    },
    "How one registry is spoken to: `host` or `host:port`, as image names write it (`docker.io`). Holds for no other host, its mirrors included.",
    (name) => {
      if (!hostName.test(name))
        throw new Error('must be a host such as "registry.example:5000", in lower case and without https://');
    },
    { hot: true },
  ),
  logs: {
    flush_interval: duration(
      0,
      0,
      3_600_000,
      "How long lines of a container's log may wait to be written together, to spare a flash disk; 0: each is written at once. What waits is lost when the power is cut or the pod's monitor is killed; it is written when the container ends, when its log is rotated, and when its pod is stopped. Holds for containers that are created from then on.",
    ),
    flush_bytes: bytes(
      64 << 10,
      4 << 10,
      1 << 20,
      "With `flush_interval`: as much as this waits, for each container whose output does.",
    ),
  },
  log: {
    level: oneOf(
      ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
      "info",
      "Lines below this level are not written.",
      { hot: true },
    ),
    calls: oneOf(
      ["all", "changes", "errors"],
      "all",
      "Which calls leave a line: `changes` spares a memory card the several lines a second that an idle kubelet's questions make.",
      { hot: true },
    ),
    file: path("", "A file to append to. Default: standard error, which systemd gives to the journal."),
  },
} as const;

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

/** The values of a schema: snake_case keys become camelCase. */
export type Values<S> = {
  readonly [K in keyof S & string as Camel<K>]: S[K] extends Field<infer T>
    ? T
    : S[K] extends TableOf<infer E>
      ? Readonly<Record<string, Values<E>>>
      : Values<S[K]>;
};
