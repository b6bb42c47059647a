#include "thread_name.h"

#include <pthread.h>

namespace cortex {

void name_thread(const char* name) {
#ifdef __linux__
  pthread_setname_np(pthread_self(), name);
#else
  static_cast<void>(name);
#endif
}

}  // namespace cortex
