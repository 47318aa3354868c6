// A plugin of C++ that throws: what its options name when it updates.
#include <kvstore/updater_plugin.h>

#include <stdexcept>
#include <string>

namespace {

int Open(const char* options, void** instance, char*, size_t) {
  if (*options == '\0') throw std::runtime_error("options expected");
  *instance = new std::string(options);
  return KVSTORE_UPDATER_OK;
}
int Update(void* instance, const kvstore_update*, char*, size_t) {
  const std::string& what = *static_cast<std::string*>(instance);
  if (what == "int") throw 3;
  throw std::runtime_error(what);
}
void Close(void* instance) { delete static_cast<std::string*>(instance); }

}  // namespace

const kvstore_updater_plugin* kvstore_updater_plugin_v1() {
  static const kvstore_updater_plugin plugin = {KVSTORE_UPDATER_PLUGIN_ABI,
                                                0,
                                                sizeof(kvstore_updater_plugin),
                                                "throws",
                                                nullptr,
                                                0,
                                                &Open,
                                                &Update,
                                                &Close};
  return &plugin;
}
