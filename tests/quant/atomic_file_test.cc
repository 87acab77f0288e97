#include "quant/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "quant/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace fourge::quant {
namespace {

using tests::TemporaryFolder;

const std::vector<std::uint8_t> kOld = {'o', 'l', 'd'};

TEST(AtomicFile, AppearsOnCommitOnly) {
  const TemporaryFolder folder;
  tests::write_bytes(folder / "out", kOld);
  {
    Result<AtomicFile> file = AtomicFile::create(folder / "out");
    ASSERT_TRUE(file.ok()) << file.failure().message();
    ASSERT_TRUE(file->write("new").ok());
    EXPECT_EQ(tests::read_bytes(folder / "out"), kOld);
    EXPECT_EQ(folder.entries(), 2u);
  }
  EXPECT_EQ(tests::read_bytes(folder / "out"), kOld);  // given up: the temporary is gone, the old file is not
  EXPECT_EQ(folder.entries(), 1u);

  Result<AtomicFile> file = AtomicFile::create(folder / "out");
  ASSERT_TRUE(file->write("new").ok());
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(tests::read_bytes(folder / "out"), (std::vector<std::uint8_t>{'n', 'e', 'w'}));
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, KeepsTheModeAndFollowsLinks) {
  const TemporaryFolder folder;
  tests::write_bytes(folder / "target", kOld);
  ASSERT_EQ(::chmod((folder / "target").c_str(), 0640), 0);
  std::filesystem::create_symlink("target", folder / "link");
  Result<AtomicFile> file = AtomicFile::create(folder / "link");
  ASSERT_TRUE(file.ok()) << file.failure().message();
  ASSERT_TRUE(file->write("new").ok() && file->commit().ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(tests::read_bytes(folder / "target").size(), 3u);
  EXPECT_EQ(tests::read_bytes(folder / "target")[0], 'n');
  struct stat status {};
  ASSERT_EQ(::stat((folder / "target").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(AtomicFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(AtomicFile::create(folder.path()).error(), Error::kBadArgument);
  EXPECT_EQ(AtomicFile::create(folder / "fifo").error(), Error::kBadArgument);
  EXPECT_EQ(AtomicFile::create("/dev/null").error(), Error::kBadArgument);
  EXPECT_EQ(AtomicFile::create("").error(), Error::kBadArgument);
  EXPECT_EQ(AtomicFile::create(folder / "absent" / "out").error(), Error::kNotFound);
  EXPECT_EQ(folder.entries(), 1u);
}

/// Makes writes beyond `bytes` fail (EFBIG), as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit old_{};
};

TEST(SafetensorsWriter, FailureHarmsNothing) {
  const TemporaryFolder folder;
  tests::write_bytes(folder / "out", kOld);
  SafetensorsWriter writer;
  ASSERT_TRUE(writer.add_owned("t", DType::u8, {100'000}, std::vector<std::uint8_t>(100'000, 1)).ok());
  for (const rlim_t limit : {0u, 4u, 50u, 200u, 99'999u}) {
    const FileSizeLimit full(limit);
    const Status status = writer.write(folder / "out");
    EXPECT_EQ(status.error(), Error::kIo) << limit;
    EXPECT_NE(status.failure().message().find((folder / "out").string()), std::string::npos);
  }
  EXPECT_EQ(tests::read_bytes(folder / "out"), kOld);
  EXPECT_EQ(folder.entries(), 1u);
  ASSERT_TRUE(writer.write(folder / "out").ok());
  EXPECT_TRUE(Safetensors::open(folder / "out").ok());
}

// The file that is being read may be the one that is written.
TEST(SafetensorsWriter, InputMayBeTheOutput) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> bytes(5000, 7);
  SafetensorsWriter first;
  ASSERT_TRUE(first.add("t", DType::u8, {5000}, bytes).ok() && first.write(folder / "f").ok());
  const Result<Safetensors> file = Safetensors::open(folder / "f");
  ASSERT_TRUE(file.ok());
  SafetensorsWriter second;
  ASSERT_TRUE(second.add("u", DType::u8, {5000}, file->find("t")->bytes).ok());
  ASSERT_TRUE(second.write(folder / "f").ok());
  const Result<Safetensors> again = Safetensors::open(folder / "f");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), again->find("u")->bytes.begin()));
}

TEST(SafetensorsWriter, RefusesWhatAReaderWouldRefuse) {
  SafetensorsWriter writer;
  const std::vector<std::uint8_t> bytes(4);
  EXPECT_TRUE(writer.add("t", DType::u8, {4}, bytes).ok());
  EXPECT_EQ(writer.add("t", DType::u8, {4}, bytes).error(), Error::kBadArgument);
  EXPECT_EQ(writer.add("__metadata__", DType::u8, {4}, bytes).error(), Error::kBadArgument);
  EXPECT_EQ(writer.add("\xff", DType::u8, {4}, bytes).error(), Error::kBadArgument);
  EXPECT_EQ(writer.add("a", DType::u8, {5}, bytes).error(), Error::kBadShape);
  EXPECT_EQ(writer.add("a", DType::f4, {8, 1}, bytes).error(), Error::kBadShape);
  EXPECT_EQ(writer.add("a", DType::u8, {-4}, bytes).error(), Error::kBadShape);
  EXPECT_EQ(writer.add("a", DType::u8, std::vector<std::int64_t>(33, 1), bytes).error(), Error::kBadShape);
  EXPECT_TRUE(writer.add_metadata("k", "v").ok());
  EXPECT_EQ(writer.add_metadata("k", "v").error(), Error::kBadArgument);
  EXPECT_EQ(writer.add_metadata("l", "\xc0\x80").error(), Error::kBadArgument);
}

// The same content gives the same bytes, in whatever order it was added.
TEST(SafetensorsWriter, OutputIsDeterministic) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> a(4, 1), b(8, 2);
  SafetensorsWriter one, two;
  ASSERT_TRUE(one.add("a", DType::u8, {4}, a).ok() && one.add("b", DType::f32, {2}, b).ok());
  ASSERT_TRUE(two.add("b", DType::f32, {2}, b).ok() && two.add("a", DType::u8, {4}, a).ok());
  ASSERT_TRUE(one.write(folder / "one").ok() && two.write(folder / "two").ok());
  EXPECT_EQ(tests::read_bytes(folder / "one"), tests::read_bytes(folder / "two"));
}

}  // namespace
}  // namespace fourge::quant
