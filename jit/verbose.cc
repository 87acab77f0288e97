#include "jit/verbose.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace fourge::jit {
namespace {

constexpr Topic kTopics[] = {Topic::dispatch, Topic::jit, Topic::exec};
constexpr const char* kExpected = "expected dispatch, jit, exec or all, separated by commas";

constexpr const char* name_of(Topic topic) {
  switch (topic) {
    case Topic::dispatch:
      return "dispatch";
    case Topic::jit:
      return "jit";
    case Topic::exec:
      return "exec";
  }
  return "";
}

void write_line(const std::string& line) {
  // A standard error that nobody reads is no reason to fail.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

unsigned topics_of_environment() {
  const char* text = std::getenv("FOURGE_VERBOSE");
  const Result<unsigned> topics = parse_topics(text == nullptr ? "" : text);
  if (topics.ok()) return *topics;
  write_line("fourge: " + topics.failure().message() + "\n");
  return 0;
}

}  // namespace

Result<unsigned> parse_topics(std::string_view text) {
  unsigned topics = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    unsigned found = 0;
    for (const Topic topic : kTopics) {
      if (word == name_of(topic) || word == "all") found |= static_cast<unsigned>(topic);
    }
    if (found == 0) return {Error::kBadArgument, kExpected, "FOURGE_VERBOSE '" + std::string(word) + "'"};
    topics |= found;
  }
  return topics;
}

bool verbose(Topic topic) {
  static const unsigned topics = topics_of_environment();
  return (topics & static_cast<unsigned>(topic)) != 0;
}

void say(Topic topic, const std::string& text) {
  write_line(std::string("fourge: ") + name_of(topic) + ": " + text + "\n");
}

void say_decisions(const std::string& what, std::span<const std::string> decisions) {
  if (!verbose(Topic::dispatch)) return;
  for (const std::string& decision : decisions) say(Topic::dispatch, what + ": " + decision);
}

void say_generated(const std::string& name, std::span<const std::uint8_t> bytes,
                   std::chrono::steady_clock::time_point begin) {
  if (!verbose(Topic::jit)) return;
  char place[64];
  std::snprintf(place, sizeof place, "%zu bytes at %p", bytes.size(), static_cast<const void*>(bytes.data()));
  say(Topic::jit, name + ": " + place + ", " + microseconds_since(begin));
}

std::string microseconds_since(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f us", time.count());
  return text;
}

}  // namespace fourge::jit
