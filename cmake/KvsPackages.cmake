# The packages we build on, all from Debian 12 (tools/install_packages.sh names them).

find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
if(KVS_BUILD_TESTS)
  find_package(Catch2 2 CONFIG REQUIRED)
endif()
