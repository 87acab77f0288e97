// Tasks over threads; none of OpenMP's cost where one thread does them all.
#pragma once

#include <algorithm>
#include <cstdint>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace fourge::jit {

/// How many threads to use: `threads`, or OpenMP's default for 0, but never more than tasks.
inline int team_size(int threads, std::int64_t tasks) {
#if defined(_OPENMP)
  if (threads == 0) threads = omp_get_max_threads();
#else
  threads = 1;
#endif
  return static_cast<int>(std::clamp<std::int64_t>(tasks, 1, threads));
}

/// work(task) for every task in [0, tasks), each on one thread.
template <class Work>
void for_each_task(int threads, std::int64_t tasks, const Work& work) {
  const int team = team_size(threads, tasks);
  if (team == 1) {
    for (std::int64_t task = 0; task < tasks; ++task) work(task);
    return;
  }
#pragma omp parallel for num_threads(team) schedule(static)
  for (std::int64_t task = 0; task < tasks; ++task) work(task);
}

}  // namespace fourge::jit
