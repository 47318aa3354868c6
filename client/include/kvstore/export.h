// What the shared library shows.
#pragma once

#define KVSTORE_EXPORT __attribute__((visibility("default")))
