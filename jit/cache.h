// Kernels by spec: generated once, looked up under a shared lock.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "fourge/error.h"

namespace fourge::jit {

/// Spec: equality comparable; equal specs are the same kernel. A process uses few specs, so a linear scan
/// beats a hash. Two threads that miss at once may both generate; the first to insert wins and both get its
/// kernel.
template <class Spec, class Kernel>
class KernelCache {
 public:
  template <class Generate>
  Result<std::shared_ptr<const Kernel>> get(const Spec& spec, Generate&& generate) {
    if (std::shared_ptr<const Kernel> found = find(spec)) return found;
    Result<std::shared_ptr<const Kernel>> made =
        generate(spec);  // outside the lock, inserted only when complete
    if (!made.ok()) return made;
    const std::unique_lock lock(mutex_);
    for (const auto& [key, kernel] : entries_) {
      if (key == spec) return kernel;
    }
    entries_.emplace_back(spec, *made);
    return made;
  }

  std::size_t size() const {
    const std::shared_lock lock(mutex_);
    return entries_.size();
  }

 private:
  std::shared_ptr<const Kernel> find(const Spec& spec) const {
    const std::shared_lock lock(mutex_);
    for (const auto& [key, kernel] : entries_) {
      if (key == spec) return kernel;
    }
    return nullptr;
  }

  mutable std::shared_mutex mutex_;
  std::vector<std::pair<Spec, std::shared_ptr<const Kernel>>> entries_;
};

}  // namespace fourge::jit
