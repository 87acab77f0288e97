// From values to coordinates.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fourge::report {

/// What a chart asks of an axis.
struct AxisSpec {
  std::string title;  // with the unit
  bool log = false;
  std::optional<double> least = {},
                        most = {};  // else from the data: from 0 where linear, whole 1-2-5 steps where log
  std::vector<double> ticks = {};   // else chosen
  std::vector<std::string> labels = {};  // of `ticks`; else their values
};

/// An axis laid over [from, to] coordinates.
class Axis {
 public:
  /// `least` and `most` of the data; values that a log axis cannot show (<= 0) must not be among them.
  Axis(const AxisSpec& spec, double least, double most, double from, double to, int tick_count);

  double at(double value) const;
  /// Positions with labels, ascending.
  const std::vector<double>& ticks() const { return ticks_; }
  std::string label_of(std::size_t tick) const {
    return tick < labels_.size() ? labels_[tick] : label(ticks_[tick]);
  }
  double least() const { return least_; }
  double most() const { return most_; }
  bool log() const { return log_; }
  /// "log,1,512,48,388": scale, range, coordinates: with it a reader can check marks against data.
  std::string description() const;

  /// "2k", "0.5", "1M": a tick's label.
  static std::string label(double value);

 private:
  bool take_ticks(const AxisSpec& spec);
  void choose_linear(const AxisSpec& spec, int tick_count);
  void choose_log(const AxisSpec& spec, int tick_count);

  bool log_;
  double least_, most_, from_, to_;
  std::vector<double> ticks_;
  std::vector<std::string> labels_;
};

}  // namespace fourge::report
