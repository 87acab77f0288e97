#include "tools/cli/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "tools/cli/context.h"

namespace fourge::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr auto kRedrawInterval = std::chrono::milliseconds(100);

}  // namespace

Progress::Progress(std::string label, std::int64_t total)
    : label_(std::move(label)),
      total_(std::max<std::int64_t>(total, 1)),
      visible_(is_terminal(stderr)),
      last_drawn_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void Progress::advance(std::int64_t steps) {
  done_ = std::min(done_ + steps, total_);
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_drawn_ < kRedrawInterval) return;
  last_drawn_ = now;
  draw();
}

void Progress::draw() {
  const int filled = static_cast<int>(done_ * kBarWidth / total_);
  fmt::print(stderr, "\r\033[K{} [{:<{}}] {}/{}", label_, std::string(static_cast<std::size_t>(filled), '#'),
             kBarWidth, done_, total_);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace fourge::cli
