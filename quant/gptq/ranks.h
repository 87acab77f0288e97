// The processes that share the quantisation of one model.
#pragma once

#include <cstdint>
#include <span>

#include "fourge/error.h"

namespace fourge::quant {

/// This process alone; an MPI program gives another (tools/cli/ranks.cc). Every call but rank() and size() is
/// collective: all ranks make the same calls in the same order.
class Ranks {
 public:
  virtual ~Ranks() = default;
  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }

  /// Element-wise over ranks. The caller sees to it that the addition is exact, so that order is immaterial.
  virtual void sum(std::span<double>) {}
  virtual void largest(std::span<float>) {}
  /// Rank r's part of `bytes` is [first[r], first[r + 1]); afterwards all have all parts.
  virtual void gather(std::span<std::uint8_t>, std::span<const std::int64_t>) {}
  /// From rank 0 to the others.
  virtual void broadcast(std::span<std::uint8_t>) {}
  /// The failure of any rank is a failure of all, so that none waits for one that has left.
  virtual Status agree(Status status) { return status; }

  /// The part of `count` things that falls to a rank begins here; contiguous, ascending, balanced.
  std::int64_t begin_of(int rank, std::int64_t count) const { return count * rank / size(); }
  std::int64_t begin(std::int64_t count) const { return begin_of(rank(), count); }
  std::int64_t end(std::int64_t count) const { return begin_of(rank() + 1, count); }

  static Ranks& alone() {
    static Ranks one;
    return one;
  }
};

}  // namespace fourge::quant
