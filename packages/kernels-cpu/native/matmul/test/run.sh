#!/bin/sh
# Builds the matrix products by themselves and tests them; any of
#   test/run.sh                              all formats on every ISA of this machine
#   SANITIZE=address,undefined test/run.sh   the same under sanitizers
#   test/run.sh bench [cached] [isa [format | all [m ...]]]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
program=test/matmul_test
if [ "${1:-}" = bench ]; then
  program=test/bench
  shift
fi
shared=$(cd "$here" && node -p "require('path').dirname(require.resolve('@helexa/graph/package.json'))")
flags="-I$shared/native -std=c++20 -O3 -ffp-contract=off -Wall -Wextra -Wno-uninitialized -Wno-maybe-uninitialized"
avx512="-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c"
if [ -n "${SANITIZE:-}" ]; then flags="$flags -O1 -fsanitize=$SANITIZE -fno-sanitize-recover=all"; fi
for source in "$here"/*.cc "$here/$program.cc"; do
  name=$(basename "$source" .cc)
  isa=""
  if [ "$(uname -m)" = x86_64 ]; then
    case $name in
      avx2_*) isa="-mavx2 -mfma -mf16c" ;;
      avx512_*) isa=$avx512 ;;
      amx_*) isa="$avx512 -mamx-tile -mamx-bf16" ;;
    esac
  fi
  # shellcheck disable=SC2086
  "${CXX:-c++}" $flags $isa -c "$source" -o "$out/$name.o"
done
# shellcheck disable=SC2086
"${CXX:-c++}" $flags "$out"/*.o -o "$out/program"
"$out/program" "$@"
