// fourge::include alone: constants at compile time.
#include <fourge/formats.h>
#include <fourge/rounding.h>

static_assert(fourge::decode_f32(fourge::ElementFormat::e2m1, 7) == 6.0f);
static_assert(fourge::encode(fourge::ElementFormat::e4m3, 448.0f) == 0x7e);

int main() { return 0; }
