# SPDX-License-Identifier: Apache-2.0
# Sourced by the shell programs of hack/. Sets: repo (the checkout), arch (Node's name for it), node
# (the project's own Node 26, an npm package: nothing here depends on the machine's), cache (what outlives a
# checkout and may be kept from one machine to the next).

cache=${KOBAKO_CACHE:-/var/cache/kobako}
repo=$(cd "$(dirname "$0")/.." && pwd)
case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*)
	echo "$0: no Node 26 for $(uname -m): x86_64 and aarch64 only" >&2
	exit 16
	;;
esac
node=$repo/node_modules/node-linux-$arch/bin/node

# die CODE MESSAGE
die() {
	code=$1
	shift
	echo "$(basename "$0"): $*" >&2
	exit "$code"
}

# The options of the caller's shell must not reach the tools: a debug port, a preload.
unset NODE_OPTIONS NODE_PATH LD_PRELOAD

# Runs hack/NAME.ts. --disable-warning: type stripping and sqlite announce themselves.
run_ts() {
	name=$1
	shift
	[ -x "$node" ] || die 18 "no Node 26 in node_modules: run hack/setup"
	exec "$node" --disable-warning=ExperimentalWarning "$repo/hack/$name.ts" "$@"
}
