/* The C interface of an updater plugin: a shared object with an updater of yours, which kvstored
 * loads with --updater-plugin FILE. C99; a plugin may be written in any language that can export
 * one C function, and links nothing of kvstore.
 *
 * A plugin exports
 *
 *   const kvstore_updater_plugin* kvstore_updater_plugin_v1(void);
 *
 * which returns a description that stays as it is until the process ends. kvstored calls it once,
 * when it starts, then `open`. After that it calls `update` whenever a round of a part of a key is
 * complete (on an asynchronous store: for each push), and `close` when it ends. While a plugin is
 * loaded it updates every key of the server, and SetOptimizer is refused. Start every server of a
 * cluster with the same plugin and the same options: each updates the parts that it holds.
 * examples/updater_plugin is a plugin in 100 lines; docs/extending.md says how to build and run it.
 *
 * Threads. `open` and `close` are called alone. Of `update` there may be one call at a time for
 * each shard of the server (--shards), at the same time; all calls about one part come from one
 * thread, one after the other. So what an instance changes while it updates, it must lock.
 *
 * Memory. All arrays belong to the server and are good during the call only. They are aligned to 8
 * bytes at least, and do not overlap.
 *
 * Failure. An update that returns something else than 0 leaves the value and its state as they
 * were, whatever the plugin wrote to the arrays: it wrote to copies. The round is over all the
 * same, and all workers that contributed to it are told the text. A plugin that crashes ends the
 * server. An exception that leaves a plugin of C++ is a failure.
 *
 * Growing. Within one ABI number structs grow at their ends only, and struct_size says how much of
 * one is there. kvstored takes the descriptions of older plugins; a plugin reads the fields of an
 * update that are newer than itself only if struct_size covers them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN: names and declarations as C has them. */

/* Changes when a plugin that was built before can no longer be used. */
#define KVSTORE_UPDATER_PLUGIN_ABI 1u

/* The dtypes that a plugin sees. Values of f16 and bf16 it is given as f32: the sum is rounded to
 * the key's dtype first, and the new value is rounded to it afterwards; state stays f32. */
enum {
  KVSTORE_DTYPE_F32 = 1,
  KVSTORE_DTYPE_F64 = 2,
  KVSTORE_DTYPE_U8 = 5,
  KVSTORE_DTYPE_I8 = 6,
  KVSTORE_DTYPE_I32 = 7,
  KVSTORE_DTYPE_I64 = 8,
  KVSTORE_DTYPE_BOOL = 9 /* one byte, 0 or 1 */
};

/* What open and update return. Any other number is KVSTORE_UPDATER_UNKNOWN. */
enum {
  KVSTORE_UPDATER_OK = 0,
  KVSTORE_UPDATER_UNKNOWN = 2,
  KVSTORE_UPDATER_INVALID_ARGUMENT = 3,   /* the caller's bug: a dtype that you do not update */
  KVSTORE_UPDATER_FAILED_PRECONDITION = 9 /* somebody has to see to it first */
};

/* Flags of a description. */
enum {
  /* The plugin updates rows of row-sparse keys, too. Without it their pushes are UNIMPLEMENTED. */
  KVSTORE_UPDATER_TAKES_ROWS = 1
};

/* One update: of a dense part of a key, or of some rows of a stripe of a row-sparse key. */
typedef struct kvstore_update {
  size_t struct_size; /* of this struct, as the server knows it */

  /* The key, by its name, or by its number if it has none (then key_name is null), and its part:
   * a dense value is cut into parts of 1 MiB, a row-sparse one into stripes. */
  const char* key_name;
  int64_t key;
  uint32_t part;
  /* Of sum, value and state: KVSTORE_DTYPE_... */
  uint32_t dtype;

  /* The version that this update makes: on a synchronous store the number of the round. */
  uint64_t round;
  /* Which update of the part this is since its state was zero, from 1. One that failed does not
   * count. */
  uint64_t update;

  /* Of the arrays: elements numbers each. */
  uint64_t elements;
  /* Dense: the number, within the whole value, of the first element. Rows: 0. */
  uint64_t first_element;

  /* Rows: how many, of how many elements each, and their numbers within the whole value,
   * ascending. elements is rows * row_elements; a round may have no rows. Dense: 0, 0, null. */
  uint64_t rows;
  uint64_t row_elements;
  const int64_t* row_ids;

  /* What the workers pushed, summed. */
  const void* sum;
  /* The old value, to be overwritten with the new one. */
  void* value;
  /* What the updater remembers: one array for each of its state_names, zeros at first, to be
   * changed in place. The server keeps it beside the value: in its memory budget, and wherever the
   * value is saved or moved to. */
  void* const* state;

  /* How many workers' pushes the sum has: on a synchronous store all that have not left, on an
   * asynchronous one 1. */
  uint32_t contributors;
  /* The workers of the job, also those that have left. */
  uint32_t workers;
} kvstore_update;

/* The description of a plugin. */
typedef struct kvstore_updater_plugin {
  uint32_t abi;       /* KVSTORE_UPDATER_PLUGIN_ABI */
  uint32_t flags;     /* KVSTORE_UPDATER_TAKES_ROWS, or 0 */
  size_t struct_size; /* sizeof(kvstore_updater_plugin) */

  /* What it is called in messages and in kvctl status: 1 to 64 of A-Z a-z 0-9 _ . - */
  const char* name;

  /* Names of the arrays of state that it wants beside each value, at most 8, each written as `name`
   * is; null if there are none. */
  const char* const* state_names;
  uint32_t state_count;

  /* Makes an instance. `options`: the text of --updater-plugin-options, "" if there is none. What
   * is wrong goes to `error`, up to error_bytes with the zero at the end: kvstored then says so and
   * ends with exit code 2. */
  int (*open)(const char* options, void** instance, char* error, size_t error_bytes);
  /* Makes one update. What is wrong goes to `error`, in words for the workers; the key and the part
   * are named already. */
  int (*update)(void* instance, const kvstore_update* update, char* error, size_t error_bytes);
  /* Ends an instance: no update is under way, and none follows. */
  void (*close)(void* instance);
} kvstore_updater_plugin;

/* What a plugin exports, with the default visibility. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const kvstore_updater_plugin*
kvstore_updater_plugin_v1(void);

/* NOLINTEND */

#ifdef __cplusplus
}
#endif
