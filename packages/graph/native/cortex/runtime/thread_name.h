// What a thread is called in the tools of the operating system.
#pragma once

namespace cortex {

// The name of the calling thread; at most 15 bytes of it are kept.
void name_thread(const char* name);

}  // namespace cortex
