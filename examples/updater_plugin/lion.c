/* An updater plugin: Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023,
 * algorithm 2), for f32 and f64, dense and row-sparse keys. With the sum g of a round:
 *
 *   c = beta1 * m + (1 - beta1) * g
 *   w = w - learning_rate * (sign(c) + wd * w)
 *   m = beta2 * m + (1 - beta2) * g
 *
 * Elsewhere it is built so, and then run:
 *
 *   cc -std=c99 -O2 -shared -fPIC lion.c -o lion.so -lm
 *   kvstored --scheduler HOST:PORT --updater-plugin ./lion.so
 *            --updater-plugin-options learning_rate=0.001,wd=0.1
 */
#include <kvstore/updater_plugin.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lion {
  double learning_rate, beta1, beta2, wd;
};

/* Reads "NAME=NUMBER" up to the comma or the end. Returns where it ends, or null. */
static const char* read_option(const char* text, struct lion* lion) {
  struct {
    const char* name;
    double* number;
    double below;
  } known[] = {{"learning_rate=", &lion->learning_rate, HUGE_VAL},
               {"beta1=", &lion->beta1, 1},
               {"beta2=", &lion->beta2, 1},
               {"wd=", &lion->wd, HUGE_VAL}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i) {
    const size_t length = strlen(known[i].name);
    if (strncmp(text, known[i].name, length) != 0) continue;
    char* end = NULL;
    const double number = strtod(text + length, &end);
    if (end == text + length || (*end != ',' && *end != '\0')) return NULL;
    if (!(number >= 0 && number < known[i].below)) return NULL;
    *known[i].number = number;
    return end;
  }
  return NULL;
}

static int lion_open(const char* options, void** instance, char* error, size_t error_bytes) {
  struct lion lion = {0.0001, 0.9, 0.99, 0};
  for (const char* text = options; *text != '\0';) {
    const char* const end = read_option(text, &lion);
    if (end == NULL) {
      snprintf(error, error_bytes,
               "learning_rate, beta1 (below 1), beta2 (below 1) or wd = a number from 0 expected, "
               "got '%s'",
               text);
      return KVSTORE_UPDATER_INVALID_ARGUMENT;
    }
    text = *end == ',' ? end + 1 : end;
  }
  struct lion* const kept = malloc(sizeof *kept);
  if (kept == NULL) {
    snprintf(error, error_bytes, "no memory");
    return KVSTORE_UPDATER_UNKNOWN;
  }
  *kept = lion;
  *instance = kept;
  return KVSTORE_UPDATER_OK;
}

static void lion_close(void* instance) { free(instance); }

/* An update of elements of one type: every element by itself, so that a value gives the same bits
 * however it is cut into parts. */
#define LION_STEP(T)                                                                 \
  do {                                                                               \
    const T* const g = update->sum;                                                  \
    T* const w = update->value;                                                      \
    T* const m = update->state[0];                                                   \
    const T lr = (T)lion->learning_rate, wd = (T)lion->wd;                           \
    const T beta1 = (T)lion->beta1, beta2 = (T)lion->beta2;                          \
    for (uint64_t i = 0; i < update->elements; ++i) {                                \
      const T c = beta1 * m[i] + (1 - beta1) * g[i];                                 \
      const T sign = (T)((c > 0) - (c < 0));                                         \
      w[i] = w[i] - lr * (sign + wd * w[i]);                                         \
      m[i] = beta2 * m[i] + (1 - beta2) * g[i];                                      \
    }                                                                                \
  } while (0)

/* Rows need nothing else: their arrays are just as long as those of a dense part of as many
 * elements. What an instance holds does not change, so shards may call at the same time. */
static int lion_update(void* instance, const kvstore_update* update, char* error,
                       size_t error_bytes) {
  const struct lion* const lion = instance;
  if (update->dtype == KVSTORE_DTYPE_F32) {
    LION_STEP(float);
  } else if (update->dtype == KVSTORE_DTYPE_F64) {
    LION_STEP(double);
  } else {
    snprintf(error, error_bytes, "a key of floats expected");
    return KVSTORE_UPDATER_INVALID_ARGUMENT;
  }
  return KVSTORE_UPDATER_OK;
}

const kvstore_updater_plugin* kvstore_updater_plugin_v1(void) {
  static const char* const states[] = {"momentum"};
  static const kvstore_updater_plugin plugin = {
      .abi = KVSTORE_UPDATER_PLUGIN_ABI,
      .flags = KVSTORE_UPDATER_TAKES_ROWS,
      .struct_size = sizeof(kvstore_updater_plugin),
      .name = "lion",
      .state_names = states,
      .state_count = 1,
      .open = lion_open,
      .update = lion_update,
      .close = lion_close,
  };
  return &plugin;
}
