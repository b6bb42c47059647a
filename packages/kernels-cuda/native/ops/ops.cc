#include "ops.h"

namespace cortex {

namespace {

// Every op that is here, one line each; `{op, function}` or `{op, function, scratch bytes}`.
constexpr OpEntry entries[] = {
    {},
};

}  // namespace

const OpEntry* op_entry(Opcode op) {
  for (const OpEntry& entry : entries) {
    if (entry.op == op && entry.run) return &entry;
  }
  return nullptr;
}

OpFunction op_function(Opcode op) {
  const OpEntry* entry = op_entry(op);
  return entry ? entry->run : nullptr;
}

}  // namespace cortex
