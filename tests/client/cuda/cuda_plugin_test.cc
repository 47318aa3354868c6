// The plugin that nvcc made, over its C interface: what it shows, and what it says on a machine
// that has no GPU.
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <string>

#include "client/device/plugin_abi.h"

namespace {

constexpr size_t kTextBytes = 256;

void* Handle() {
  static void* const handle = ::dlopen(KVS_CUDA_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  INFO((handle == nullptr ? ::dlerror() : ""));
  REQUIRE(handle != nullptr);
  return handle;
}

const kvstore_device_plugin& Plugin() {
  const auto function = reinterpret_cast<kvstore_device_plugin_function>(
      ::dlsym(Handle(), KVSTORE_DEVICE_PLUGIN_SYMBOL));
  REQUIRE(function != nullptr);
  REQUIRE(function() != nullptr);
  return *function();
}

bool HasDriver() {
  void* const driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver != nullptr) ::dlclose(driver);
  return driver != nullptr;
}

}  // namespace

TEST_CASE("the plugin is a real one, of this version of the interface", "[cuda]") {
  CHECK(Plugin().abi == KVSTORE_DEVICE_ABI);
  CHECK(Plugin().simulated == 0);
  CHECK(std::string(Plugin().name) == "CUDA");
}

TEST_CASE("the plugin brings the runtime of CUDA, and shows nothing of it", "[cuda]") {
  CHECK(::dlsym(Handle(), "cudaMalloc") == nullptr);
  for (const char* const library : {"libcudart.so", "libcudart.so.12", "libcudart.so.13"}) {
    CHECK(::dlopen(library, RTLD_LAZY | RTLD_NOLOAD) == nullptr);
  }
}

TEST_CASE("the plugin says that there is no driver, or finds what the driver has", "[cuda]") {
  char text[kTextBytes] = {};
  int devices = 0;
  const int counted = Plugin().count(&devices, text, sizeof text);
  if (HasDriver()) {
    CHECK((counted == KVSTORE_DEVICE_OK ? devices > 0 : text[0] != '\0'));
    return;
  }
  CHECK(counted == KVSTORE_DEVICE_NO_DRIVER);
  CHECK(std::string(text) == "there is none on this host");
  void* memory = nullptr;
  CHECK(Plugin().allocate(0, 16, &memory, text, sizeof text) == KVSTORE_DEVICE_FAILED);
  CHECK(std::string(text).rfind("an array on gpu(0): ", 0) == 0);
}
