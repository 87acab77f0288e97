#include "tools/cli/ranks.h"

#include <cstdlib>

#if defined(FOURGE_HAVE_MPI)
#include <mpi.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>
#endif

namespace fourge::cli {
namespace {

/// Set by Open MPI, and by launchers that speak PMI (MPICH, Slurm).
bool started_by_mpirun() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

#if defined(FOURGE_HAVE_MPI)

constexpr std::size_t kLargestCount = std::size_t{1} << 28;  // elements a call: MPI counts are int

class MpiRanks final : public quant::Ranks {
 public:
  MpiRanks() {
    MPI_Init(nullptr, nullptr);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiRanks() override { MPI_Finalize(); }
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum(std::span<double> values) override { reduce(values, MPI_DOUBLE, MPI_SUM); }
  void largest(std::span<float> values) override { reduce(values, MPI_FLOAT, MPI_MAX); }

  void gather(std::span<std::uint8_t> bytes, std::span<const std::int64_t> first) override {
    for (int r = 0; r < size_; ++r) {
      const auto at = static_cast<std::size_t>(r);
      broadcast_from(r, bytes.subspan(static_cast<std::size_t>(first[at]),
                                      static_cast<std::size_t>(first[at + 1] - first[at])));
    }
  }
  void broadcast(std::span<std::uint8_t> bytes) override { broadcast_from(0, bytes); }

  Status agree(Status status) override {
    int failed = status.ok() ? std::numeric_limits<int>::max() : rank_, first = 0;
    MPI_Allreduce(&failed, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (first == std::numeric_limits<int>::max() || !status.ok()) return status;
    return {Error::kIo, "another process of the job failed", "rank " + std::to_string(first)};
  }

 private:
  template <class T>
  static void reduce(std::span<T> values, MPI_Datatype type, MPI_Op operation) {
    for (std::size_t done = 0; done < values.size(); done += kLargestCount) {
      const auto count = static_cast<int>(std::min(kLargestCount, values.size() - done));
      MPI_Allreduce(MPI_IN_PLACE, values.data() + done, count, type, operation, MPI_COMM_WORLD);
    }
  }
  static void broadcast_from(int root, std::span<std::uint8_t> bytes) {
    for (std::size_t done = 0; done < bytes.size(); done += kLargestCount) {
      const auto count = static_cast<int>(std::min(kLargestCount, bytes.size() - done));
      MPI_Bcast(bytes.data() + done, count, MPI_BYTE, root, MPI_COMM_WORLD);
    }
  }

  int rank_ = 0, size_ = 1;
};

#endif

}  // namespace

Result<std::unique_ptr<quant::Ranks>> start_ranks() {
  if (!started_by_mpirun()) return std::make_unique<quant::Ranks>();
#if defined(FOURGE_HAVE_MPI)
  return std::unique_ptr<quant::Ranks>(std::make_unique<MpiRanks>());
#else
  return {Error::kBadArgument, "this build has no MPI: configure with -DFOURGE_MPI=ON", "started by mpirun"};
#endif
}

}  // namespace fourge::cli
