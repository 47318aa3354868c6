# What `cmake --install` puts where:
#
#   bin/            kvscheduler, kvstored, kvctl
#   lib/            libkvstore.so, libkvstore-server.so, cmake/kvstore (find_package),
#                   pkgconfig/kvstore.pc, pkgconfig/kvstore-server.pc
#   include/kvstore the public headers, and nothing else
#   share/doc       licence and notices
#
# tests/integration/consumer builds a project outside of the tree against exactly this.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS kvscheduler kvstored kvctl
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT daemons)

# VERSION and SOVERSION: 0.x changes its ABI with every minor version.
set_target_properties(kvstore kvstore_server PROPERTIES
  INSTALL_RPATH "$ORIGIN"
  VERSION "${PROJECT_VERSION}"
  SOVERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
install(TARGETS kvstore kvstore_server EXPORT kvstoreTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sdk NAMELINK_COMPONENT devel
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/client/include/kvstore"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT devel FILES_MATCHING PATTERN "*.h")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvstore")
install(EXPORT kvstoreTargets NAMESPACE kvstore:: DESTINATION "${package_dir}" COMPONENT devel)
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/kvstoreConfig.cmake.in" "${PROJECT_BINARY_DIR}/kvstoreConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/kvstoreConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/kvstoreConfig.cmake"
              "${PROJECT_BINARY_DIR}/kvstoreConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT devel)

# The prefix is found from the file's own place, so the tree may be moved.
file(RELATIVE_PATH kvs_pc_to_prefix
  "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
foreach(pc kvstore kvstore-server)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/${pc}.pc.in" "${PROJECT_BINARY_DIR}/${pc}.pc" @ONLY)
endforeach()
install(FILES "${PROJECT_BINARY_DIR}/kvstore.pc" "${PROJECT_BINARY_DIR}/kvstore-server.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT devel)

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/THIRD_PARTY_NOTICES.md"
  DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT devel)
