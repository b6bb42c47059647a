#!/usr/bin/env bash
# The emulation's own tests: run.sh [address]
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags=(-std=c++20 -O1 -g -Wall -Wextra -I .)
[ "${1:-}" = "" ] || flags+=("-fsanitize=$1" -fno-omit-frame-pointer)
"${CXX:-g++}" "${flags[@]}" emulation_test.cc fiber.cc block.cc runtime.cc symbol_name.cc -ldl -lpthread -o "$out/emulation_test"
"$out/emulation_test"
