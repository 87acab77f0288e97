// fourge_FOURGE_BENCH_GROUP_bench: one group of the suite by itself.
#include <cstring>

#include "bench/groups.h"

int main(int argc, char** argv) {
  using namespace fourge::bench;
  for (const BenchGroup& group : bench_groups())
    if (std::strcmp(group.name, FOURGE_BENCH_GROUP) == 0) return run_benchmarks(argc, argv, {&group, 1});
  return 2;
}
