#!/usr/bin/env bash
# Runs tools/quickstart.sh (both programs) and tools/run_tests.sh in a bare Debian 12: a root made by
# debootstrap with nothing but the base system, from the mirror that this machine's apt uses, and a
# clean copy of HEAD. Prints the accuracy line, minutes, and how many processes each command left
# behind (none is expected; the root has a PID namespace of its own, so nothing can hide or survive).
#
#   tools/bare_check.sh [--worktree] [--quickstart-only] [--no-sys] [--jobs N] [--keep] [--dir DIR]
#     --worktree          copy the files of the working tree instead of HEAD
#     --quickstart-only   leave out run_tests.sh
#     --no-sys            with an empty /sys, as in a chroot made by hand: there gRPC 1.51 was seen to
#                         report a first connection as failed that would have worked
#     --jobs N            parallel compilations (default: all cores)
#     --keep              leave the root in place
#     --dir DIR           where to make the root (default: a new folder in /var/tmp)
#
# Needs root, debootstrap and about 3 GB.
set -euo pipefail
cd "$(dirname "$0")/.."

tree=head full=yes sys=yes jobs=$(nproc) keep=no dir=""
while [[ $# -gt 0 ]]; do
  case "$1" in
    --worktree) tree=worktree ;;
    --quickstart-only) full=no ;;
    --no-sys) sys=no ;;
    --jobs) jobs=$2; shift ;;
    --keep) keep=yes ;;
    --dir) dir=$2; shift ;;
    *) echo "bare_check.sh: unknown option '$1'; see its first lines" >&2; exit 2 ;;
  esac
  shift
done
[[ $(id -u) -eq 0 ]] || { echo "bare_check.sh: needs root (chroot)" >&2; exit 1; }
command -v debootstrap >/dev/null ||
  { echo "bare_check.sh: run 'apt-get install -y debootstrap' first" >&2; exit 1; }

# Debian's own bookworm lines among the apt sources, as "deb URI SUITE COMPONENT...".
debian_sources() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ -f "$file" ]] || continue
    sed -E 's/^deb +\[[^]]*\]/deb/' "$file" |
      awk '$1 == "deb" && $3 ~ /^bookworm(-updates|-security)?$/'
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [[ -f "$file" ]] || continue
    awk -v RS= -v FS='\n' '{
      delete field
      for (i = 1; i <= NF; i++) {
        if ($i ~ /^#/) continue
        colon = index($i, ":")
        field[substr($i, 1, colon - 1)] = substr($i, colon + 1)
      }
      if (field["Types"] !~ /(^| )deb( |$)/ || field["Enabled"] ~ /no/) next
      n = split(field["URIs"], uris, " "); m = split(field["Suites"], suites, " ")
      for (u = 1; u <= n; u++)
        for (s = 1; s <= m; s++)
          if (suites[s] ~ /^bookworm(-updates|-security)?$/)
            print "deb " uris[u] " " suites[s] field["Components"]
    }' "$file"
  done
}

sources=$(debian_sources | sed 's/  */ /g' | sort -u)
mirror=$(awk '$3 == "bookworm" {print $2; exit}' <<<"$sources")
[[ -n "$mirror" ]] || { echo "bare_check.sh: no 'bookworm' suite in this machine's apt sources" >&2; exit 1; }
[[ -n "$dir" ]] || dir=$(mktemp -d /var/tmp/kvstore-bare.XXXXXX)
mkdir -p "$dir"
root=$dir/root
cleanup() { if [[ $keep == no ]]; then rm -rf "$root"; rmdir "$dir" 2>/dev/null || true; fi; }
trap cleanup EXIT

minutes() { awk -v s=$((SECONDS - $1)) 'BEGIN {printf "%.1f min", s / 60}'; }

start=$SECONDS
debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  bookworm "$root" "$mirror" >"$dir/debootstrap.log" 2>&1 || { tail -n 20 "$dir/debootstrap.log" >&2; exit 1; }
printf '%s\n' "$sources" >"$root/etc/apt/sources.list"
# How this machine's apt reaches its mirror (proxies, old snapshots).
apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' >"$root/etc/apt/apt.conf.d/90host" || true
cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
[[ $sys == yes ]] || echo "without /sys"
echo "bare root: $(minutes "$start"), $(ls "$root/var/lib/dpkg/info"/*.list | wc -l) packages"

mkdir "$root/kvstore"
if [[ $tree == head ]]; then
  git archive HEAD | tar -x -C "$root/kvstore"
  [[ -z "$(git status --porcelain)" ]] || echo "note: the working tree differs from HEAD; HEAD is checked"
else
  git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [[ -e "$file" ]] && printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x -C "$root/kvstore"
fi

# Runs one command as a user would, as PID 2 of a PID namespace of its own; afterwards PID 1 counts
# who is still there. (In the root: no variable of this machine, no process of this machine.)
cat >"$root/count_left.sh" <<'INNER'
"$@"
status=$?
left=0
for process in /proc/[0-9]*; do
  [[ "$process" == "/proc/$$" ]] && continue
  read -r name 2>/dev/null <"$process/comm" || continue
  left=$((left + 1))
  echo "left behind: $name (${process#/proc/})"
done
echo "processes left: $left"
[[ $left -eq 0 ]] || exit 99
exit "$status"
INNER

failed=no
in_root() {  # name, command...
  local name=$1 start=$SECONDS status=0
  shift
  unshare --mount --pid --fork --kill-child --ipc bash -c '
      mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" &&
      mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts" &&
      mount --bind "$0/dev/pts/ptmx" "$0/dev/ptmx" &&
      { [[ "$1" == no ]] || mount -t sysfs -o ro sysfs "$0/sys"; } && cd "$0" && shift &&
      exec chroot "$0" "$@"' "$root" "$sys" \
    /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
      CMAKE_BUILD_PARALLEL_LEVEL="$jobs" bash /count_left.sh "$@" \
    </dev/null >"$dir/$name.log" 2>&1 || status=$?
  echo "$name: exit code $status, $(minutes "$start"), $(grep '^processes left' "$dir/$name.log" || echo 'processes left: unknown')"
  if [[ $status -ne 0 ]]; then
    failed=yes
    tail -n 40 "$dir/$name.log" >&2
  fi
}

in_root quickstart /kvstore/tools/quickstart.sh
grep -E 'test accuracy' "$dir/quickstart.log" || { echo "no accuracy line" >&2; failed=yes; }
in_root word_vectors /kvstore/tools/quickstart.sh word_vectors dist_sync --epochs 1
grep -E 'worker 0. tables sha256' "$dir/word_vectors.log" || { echo "no tables" >&2; failed=yes; }
if [[ $full == yes ]]; then
  in_root run_tests /kvstore/tools/run_tests.sh
  grep -E 'tests passed' "$dir/run_tests.log" || { echo "no ctest summary" >&2; failed=yes; }
fi
echo "logs: $dir"
[[ $failed == no ]]
