#!/usr/bin/env bash
# Builds the native tests of products on the emulation and runs them: run.sh [address]
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags=(-std=c++20 -O2 -Wall -Wextra -Wno-unknown-pragmas -I emulation -I ../../graph/native)
[ "${1:-}" = "" ] || flags+=(-g "-fsanitize=$1" -fno-omit-frame-pointer)
sources=(test/product_test.cc ops/product.cu ops/product_tiles.cu weights/repack.cu
         emulation/fiber.cc emulation/block.cc emulation/runtime.cc emulation/symbol_name.cc)
for source in "${sources[@]}"; do
  "${CXX:-g++}" "${flags[@]}" -x c++ -c "$source" -o "$out/$(basename "$source").o"
done
"${CXX:-g++}" "${flags[@]}" "$out"/*.o -ldl -lpthread -o "$out/product_test"
"$out/product_test"
