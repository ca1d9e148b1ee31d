#include <gtest/gtest.h>

#include "culm/core/signing.hpp"

namespace {

/// Linked into every test program: each test runs in a process of its own.
class CryptoReady final : public testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(culm::initialize_crypto()); }
};

const auto* const kCryptoReady = testing::AddGlobalTestEnvironment(new CryptoReady);

}  // namespace
