/* A plugin with one thing wrong, named by a macro: BROKEN_ABI_3 and the like. BROKEN_COUNTS is well:
 * the value becomes what the update was told of the round. */
#include <kvstore/updater_plugin.h>
#include <stdio.h>
#include <string.h>

static int opens(const char* options, void** instance, char* error, size_t error_bytes) {
  (void)options;
  (void)instance;
#ifdef BROKEN_OPEN_FAILS
  snprintf(error, error_bytes, "no such\nthing: %s", options);
  return KVSTORE_UPDATER_INVALID_ARGUMENT;
#else
  (void)error;
  (void)error_bytes;
  return KVSTORE_UPDATER_OK;
#endif
}

static int updates(void* instance, const kvstore_update* update, char* error, size_t error_bytes) {
  (void)instance;
  /* Counts in its state, writes over all that it may write to, and then perhaps fails. */
  if (update->dtype != KVSTORE_DTYPE_F32) return 77;
  for (uint64_t i = 0; i < update->elements; ++i) {
    ((float*)update->state[0])[i] += 1;
    ((float*)update->value)[i] += ((const float*)update->sum)[i];
  }
#ifdef BROKEN_COUNTS
  for (uint64_t i = 0; i < update->elements; ++i) {
    ((float*)update->value)[i] = (float)(100 * update->contributors + update->workers);
  }
#endif
  if (update->elements == 0 || ((const float*)update->sum)[0] != 13) return KVSTORE_UPDATER_OK;
  snprintf(error, error_bytes, "13 is refused in round %d", (int)update->round);
  return KVSTORE_UPDATER_FAILED_PRECONDITION;
}

static void closes(void* instance) { (void)instance; }

#ifndef BROKEN_NO_SYMBOL
const kvstore_updater_plugin* kvstore_updater_plugin_v1(void) {
  static const char* states[] = {"count", "b", "c", "d", "e", "f", "g", "h", "i"};
  static kvstore_updater_plugin plugin;
  plugin.abi = KVSTORE_UPDATER_PLUGIN_ABI;
  plugin.flags = KVSTORE_UPDATER_TAKES_ROWS;
  plugin.struct_size = sizeof plugin;
  plugin.name = "broken";
  plugin.state_names = states;
  plugin.state_count = 1;
  plugin.open = opens;
  plugin.update = updates;
  plugin.close = closes;
#ifdef BROKEN_ABI_3
  plugin.abi = 3;
#endif
#ifdef BROKEN_SHORT_STRUCT
  plugin.struct_size = 16;
#endif
#ifdef BROKEN_FLAGS
  plugin.flags = 6;
#endif
#ifdef BROKEN_NO_NAME
  plugin.name = NULL;
#endif
#ifdef BROKEN_BAD_NAME
  plugin.name = "two words";
#endif
#ifdef BROKEN_MANY_STATES
  plugin.state_count = 9;
#endif
#ifdef BROKEN_NO_STATE_NAME
  plugin.state_count = 2;
  states[1] = "";
#endif
#ifdef BROKEN_NULL_OPEN
  plugin.open = NULL;
#endif
#ifdef BROKEN_NULL_UPDATE
  plugin.update = NULL;
#endif
#ifdef BROKEN_NULL_CLOSE
  plugin.close = NULL;
#endif
#ifdef BROKEN_NO_ROWS
  plugin.flags = 0;
#endif
#ifdef BROKEN_NULL_DESCRIPTION
  return NULL;
#endif
  return &plugin;
}
#endif
