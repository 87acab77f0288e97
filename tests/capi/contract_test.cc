// What a C program may rely on: symbols, sizes of structs, struct_size, refusals, the last error of a thread.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <sstream>
#include <thread>

#include "capi/status.h"
#include "fourge.h"
#include "fourge/version.h"
#include "tests/support/run_program.h"

namespace fourge::tests {
namespace {

std::set<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> all;
  for (std::string word; stream >> word;) all.insert(word);
  return all;
}

// A symbol that goes missing, or one that leaks, changes what programs link with: tests/capi/abi_symbols.txt.
TEST(CAbi, ExportsTheListedSymbolsAndNoOther) {
  const ProgramResult nm = run_program({FOURGE_NM, "-D", "--defined-only", "-j", FOURGE_C_LIBRARY});
  ASSERT_EQ(nm.exit_code, 0) << nm.err;
  std::set<std::string> exported;
  for (const std::string& word : words(nm.out)) {
    if (word != "FOURGE_0") exported.insert(word.substr(0, word.find('@')));  // less the version's own symbol
  }
  const std::set<std::string> listed = words(read_text(FOURGE_SOURCE_DIR "/tests/capi/abi_symbols.txt"));
  ASSERT_FALSE(listed.empty());
  EXPECT_EQ(exported, listed);
}

// Growing a struct is adding fields at its end; the first sizes stay valid for ever.
TEST(CAbi, StructsHaveTheSizesOfTheFirstRelease) {
  if (sizeof(void*) != 8) GTEST_SKIP() << "sizes are listed for 64-bit pointers";
  EXPECT_EQ(sizeof(fourge_status), 4u);
  EXPECT_EQ(sizeof(fourge_matrix), 56u);
  EXPECT_EQ(sizeof(fourge_kernel_options), 24u);
  EXPECT_EQ(sizeof(fourge_kernel), 72u);
  EXPECT_EQ(sizeof(fourge_gemm_spec), 72u);
  EXPECT_EQ(sizeof(fourge_gemm_operands), 56u);
  EXPECT_EQ(sizeof(fourge_plain), 40u);
  EXPECT_EQ(sizeof(fourge_gemm_stats), 32u);
  EXPECT_EQ(sizeof(fourge_quantizer_spec), 56u);
  EXPECT_EQ(sizeof(fourge_quantize_operands), 88u);
  EXPECT_EQ(sizeof(fourge_quantize_outcome), 40u);
  EXPECT_EQ(sizeof(fourge_decoder_spec), 16u);
  EXPECT_EQ(sizeof(fourge_hadamard_spec), 32u);
  EXPECT_EQ(sizeof(fourge_hadamard_operands), 72u);
  EXPECT_EQ(sizeof(fourge_mma_spec), 48u);
  EXPECT_EQ(sizeof(fourge_mma_sizes), 24u);
  EXPECT_EQ(sizeof(fourge_mma_operands), 64u);
  EXPECT_EQ(sizeof(fourge_gemm_batch_item), 48u);
  EXPECT_EQ(sizeof(fourge_gptq_spec), 56u);
  EXPECT_EQ(sizeof(fourge_gptq_operands), 56u);
  EXPECT_EQ(sizeof(fourge_gptq_report), 64u);
  EXPECT_EQ(sizeof(fourge_layout_spec), 16u);
  EXPECT_EQ(sizeof(fourge_layout_operands), 40u);
}

TEST(CAbi, ReportsTheVersionOfTheHeaders) {
  const std::string version = std::to_string(FOURGE_VERSION_MAJOR) + "." +
                              std::to_string(FOURGE_VERSION_MINOR) + "." +
                              std::to_string(FOURGE_VERSION_PATCH);
  EXPECT_EQ(fourge_version(), version);
}

// A struct as a later library would know it: `added` came after the first release.
struct Grown {
  std::size_t struct_size;
  std::int64_t first;
  std::int64_t added;
};
constexpr std::size_t kFirst = offsetof(Grown, added);
constexpr Grown kDefaults = {sizeof(Grown), 1, 42};

TEST(CStructSize, OlderCallersGetDefaultsForNewFields) {
  const Grown old{kFirst, 7, 1000};  // what lies beyond struct_size is not read
  const capi::Input<Grown, kFirst> input(&old, kDefaults, "spec");
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(input->first, 7);
  EXPECT_EQ(input->added, 42);
}

TEST(CStructSize, NewerCallersMayOnlyLeaveUnknownFieldsZero) {
  struct Newer {
    fourge_gemm_spec known;
    std::int64_t unknown;
  } spec = {FOURGE_GEMM_SPEC_INIT, 0};
  spec.known.struct_size = sizeof(Newer);
  fourge_gemm* gemm = nullptr;
  ASSERT_EQ(fourge_gemm_create(&spec.known, nullptr, &gemm), FOURGE_OK) << fourge_last_error();
  fourge_gemm_free(gemm);
  spec.unknown = 1;
  EXPECT_EQ(fourge_gemm_create(&spec.known, nullptr, &gemm), FOURGE_BAD_ARGUMENT);
  EXPECT_STREQ(fourge_last_error(),
               "bad argument: spec: the struct sets fields that this library does not know yet");
}

TEST(CStructSize, UnsetOrAbsurdSizesAreRefused) {
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  fourge_gemm* gemm = nullptr;
  for (const std::size_t size : {std::size_t{0}, sizeof(fourge_gemm_spec) - 8, std::size_t{1} << 40}) {
    spec.struct_size = size;
    EXPECT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_BAD_ARGUMENT) << size;
  }
  EXPECT_EQ(gemm, nullptr);
}

TEST(CStructSize, OutputsAreWrittenUpToTheirSize) {
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  fourge_gemm* gemm = nullptr;
  ASSERT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_OK);
  const char* untouched = "untouched";
  fourge_kernel kernel = FOURGE_KERNEL_INIT;
  kernel.struct_size = offsetof(fourge_kernel, exactness);
  kernel.exactness = untouched;
  ASSERT_EQ(fourge_gemm_kernel(gemm, &kernel), FOURGE_OK);
  EXPECT_NE(kernel.isa, nullptr);
  EXPECT_EQ(kernel.exactness, untouched);
  EXPECT_EQ(kernel.struct_size, offsetof(fourge_kernel, exactness));
  fourge_gemm_free(gemm);
}

TEST(CErrors, NullPointersAreRefusedByName) {
  fourge_gemm_spec gemm_spec = FOURGE_GEMM_SPEC_INIT;
  fourge_quantize_outcome outcome = FOURGE_QUANTIZE_OUTCOME_INIT;
  fourge_matrix matrix = FOURGE_MATRIX_INIT;
  fourge_gemm* gemm = nullptr;
  fourge_mma_spec mma_spec = FOURGE_MMA_SPEC_INIT;
  fourge_mma* mma = nullptr;
  float value = 0;
  const fourge_status results[] = {
      fourge_gemm_create(nullptr, nullptr, &gemm),
      fourge_gemm_create(&gemm_spec, nullptr, nullptr),
      fourge_gemm_kernel(nullptr, nullptr),
      fourge_gemm_pack(nullptr, &matrix, nullptr),
      fourge_gemm_run(nullptr, &matrix, nullptr, nullptr, 0, nullptr),
      fourge_gemm_run_plain(nullptr, nullptr, nullptr, nullptr, 0, nullptr),
      fourge_gemm_alpha(&matrix, nullptr, &value),
      fourge_gemm_run_batch(nullptr, nullptr, 0, 0, nullptr),
      fourge_reference_gemm(&gemm_spec, nullptr, &matrix, nullptr),
      fourge_quantizer_create(nullptr, nullptr, nullptr),
      fourge_quantizer_run(nullptr, nullptr, 0, &outcome),
      fourge_quantizer_kernel(nullptr, nullptr),
      fourge_quantize(nullptr, nullptr, &outcome),
      fourge_decoder_create(nullptr, nullptr, nullptr),
      fourge_decoder_run(nullptr, &matrix, &value, 0, 0),
      fourge_decoder_kernel(nullptr, nullptr),
      fourge_hadamard_create(nullptr, nullptr, nullptr),
      fourge_hadamard_run(nullptr, nullptr, 0),
      fourge_hadamard_kernel(nullptr, nullptr),
      fourge_layout_converter_create(nullptr, nullptr, nullptr),
      fourge_layout_converter_run(nullptr, nullptr, 0),
      fourge_layout_converter_kernel(nullptr, nullptr),
      fourge_gptq(nullptr, nullptr, nullptr),
      fourge_second_moment(nullptr, 1, 1, nullptr),
      fourge_rotate_hessian(nullptr, 1, 1),
      fourge_mma_create(&mma_spec, &mma),
      fourge_mma_create(nullptr, &mma),
      fourge_mma_run(nullptr, nullptr),
      fourge_mma_sizes_of(nullptr, nullptr),
      fourge_decode_elements(FOURGE_E4M3, nullptr, 1, &value),
      fourge_encode_elements(FOURGE_E4M3, &value, 1, FOURGE_RNE, FOURGE_SATFINITE, nullptr),
      fourge_convert_scales(FOURGE_LINEAR, nullptr, FOURGE_LINEAR, nullptr, 1, 1),
      fourge_scale_offset(FOURGE_LINEAR, 0, 0, 1, nullptr),
  };
  for (std::size_t i = 0; i < std::size(results); ++i) EXPECT_EQ(results[i], FOURGE_BAD_ARGUMENT) << i;
  fourge_gemm_create(nullptr, nullptr, &gemm);
  EXPECT_STREQ(fourge_last_error(), "bad argument: spec: null pointer");
  fourge_gemm_free(nullptr);
  fourge_packed_weights_free(nullptr);
  fourge_quantizer_free(nullptr);
  fourge_decoder_free(nullptr);
  fourge_hadamard_free(nullptr);
  fourge_layout_converter_free(nullptr);
  fourge_mma_free(nullptr);
}

TEST(CErrors, NumbersThatAreNoEnumeratorsAreRefused) {
  fourge_gemm* gemm = nullptr;
  for (const int wrong : {-1, 3, 1000}) {
    fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
    spec.format = wrong;
    EXPECT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_BAD_ARGUMENT) << wrong;
    spec = FOURGE_GEMM_SPEC_INIT;
    spec.numerics = wrong;
    EXPECT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_BAD_ARGUMENT) << wrong;
    spec = FOURGE_GEMM_SPEC_INIT;
    spec.bias = wrong;
    EXPECT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_BAD_ARGUMENT) << wrong;
    spec = FOURGE_GEMM_SPEC_INIT;
    spec.output = wrong;
    EXPECT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_UNSUPPORTED_FORMAT) << wrong;
  }
  fourge_quantizer_spec spec = FOURGE_QUANTIZER_SPEC_INIT;
  spec.rule = 13;
  fourge_quantizer* quantizer = nullptr;
  EXPECT_EQ(fourge_quantizer_create(&spec, nullptr, &quantizer), FOURGE_BAD_ARGUMENT);
  EXPECT_STREQ(fourge_last_error(), "bad argument: scale rule 13: no such enumerator");
  EXPECT_STREQ(fourge_status_name(FOURGE_BAD_SHAPE), "bad shape");
  EXPECT_STREQ(fourge_format_name(9), "");
}

TEST(CErrors, TheLastErrorBelongsToItsThread) {
  fourge_gemm* gemm = nullptr;
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  spec.k = 17;
  ASSERT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_BAD_SHAPE);
  const std::string here = fourge_last_error();
  EXPECT_EQ(here, "bad shape: m 1, n 1, k 17: k must be a multiple of the scale block, 16");
  std::string before, there;
  std::thread other([&] {
    before = fourge_last_error();
    fourge_mma* mma = nullptr;
    fourge_mma_spec mma_spec = FOURGE_MMA_SPEC_INIT;
    mma_spec.model = "blackwell.fp3";
    EXPECT_EQ(fourge_mma_create(&mma_spec, &mma), FOURGE_NOT_FOUND);
    there = fourge_last_error();
  });
  other.join();
  EXPECT_EQ(before, "");
  EXPECT_NE(there.find("blackwell.fp3"), std::string::npos) << there;
  EXPECT_EQ(fourge_last_error(), here);
}

}  // namespace
}  // namespace fourge::tests
