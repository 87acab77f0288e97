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

/// The tasks [begin, end) of one thread of a team: contiguous parts, as even as can be.
struct TaskRange {
  std::int64_t begin, end;
};
inline TaskRange tasks_of(int thread, int team, std::int64_t tasks) {
  return {tasks * thread / team, tasks * (thread + 1) / team};
}

/// work(thread, team) on every thread of a team of up to `threads`.
template <class Work>
void for_each_thread(int threads, const Work& work) {
  if (threads == 1) {
    work(0, 1);
    return;
  }
#pragma omp parallel num_threads(threads)
#if defined(_OPENMP)
  work(omp_get_thread_num(), omp_get_num_threads());
#else
  work(0, 1);
#endif
}

/// Inside for_each_thread(): waits for the whole team.
inline void team_barrier(int team) {
  if (team == 1) return;
#pragma omp barrier
}

}  // namespace fourge::jit
