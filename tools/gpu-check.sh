#!/bin/sh
# Proves the CUDA backend on this machine: sh gpu-check [words of gpu-check.js]. Lies in the folder that `npm run gpu-check:pack`
# makes. Takes the Node beside it, or the one of this machine; without either, the native program runs the recorded cases.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
node=$here/node
if [ ! -x "$node" ] && [ -f "$here/node.xz" ]; then
  if command -v xz >/dev/null; then xz -dc "$here/node.xz" >"$node.part"
  else python3 -c 'import lzma,shutil,sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$here/node.xz" "$node.part"
  fi && chmod +x "$node.part" && mv "$node.part" "$node"
fi
[ -x "$node" ] || node=$(command -v node)
library=$here/node_modules/@helexa/kernels-cuda/lib/libcortex_cuda.so
[ ! -f "$library" ] || set -- --library "$library" "$@"
if [ -z "$node" ]; then
  echo 'No Node here: the native program runs the recorded cases' >&2
  exec "$here/gpu-cases" "$library" "$here/cases.bin"
fi
for fixtures in "$here"/fixtures/*; do
  [ ! -e "$fixtures" ] || set -- --fixtures "$fixtures" "$@"
done
[ ! -x "$here/gpu-cases" ] || set -- --native "$here/gpu-cases" --cases "$here/cases.bin" "$@"
exec "$node" "$here/tools/dist/gpu-check.js" "$@"
