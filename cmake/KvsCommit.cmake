# Run at every build (cmake -P): writes the commit that is built to the header OUTPUT, which is
# touched only when it changes. No git, or no repository: an empty commit.
cmake_minimum_required(VERSION 3.25)  # its policies
execute_process(COMMAND "${GIT}" describe --always --dirty --tags
  WORKING_DIRECTORY "${SOURCE}" OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "#define KVS_COMMIT \"@commit@\"\n" @ONLY)
