/* What the SDK asks of a plugin for devices: the C interface of libkvstore_cuda.so, which the SDK
 * opens when a program first names a GPU, and of the same plugin over a simulated GPU
 * (tests/support/cuda_sim). The SDK itself has no link to CUDA.
 *
 * A plugin exports one function, kvstore_device_plugin_v2, which returns a description that lives
 * as long as the plugin is loaded. A later version of the interface has another name.
 *
 * Functions return a kvstore_device_code. Unless it is KVSTORE_DEVICE_OK, they have written what
 * was wrong to `text`, in at most `text_bytes` bytes, the last of which is 0. They may be called
 * from any thread, several at a time, and return when what they were asked is done, but for those
 * that put it on a stream (at the end of the description). Addresses of elements are multiples of
 * the elements' size. dtypes have the numbers of kvstore::DataType.
 */
#ifndef KVSTORE_CLIENT_DEVICE_PLUGIN_ABI_H_
#define KVSTORE_CLIENT_DEVICE_PLUGIN_ABI_H_

/* NOLINTBEGIN: it is C, and named as C is. */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { KVSTORE_DEVICE_ABI = 2 };

typedef enum kvstore_device_code {
  KVSTORE_DEVICE_OK = 0,
  KVSTORE_DEVICE_NO_DRIVER = 1, /* nothing can be done: this machine has no driver */
  KVSTORE_DEVICE_NO_GPU = 2,    /* a driver, but no GPU that this process may use */
  KVSTORE_DEVICE_NO_MEMORY = 3, /* nothing was done */
  KVSTORE_DEVICE_INVALID = 4,   /* what was asked cannot be done: a bug of who asks */
  KVSTORE_DEVICE_FAILED = 5     /* the device failed, and may go on failing */
} kvstore_device_code;

/* In the place of a device's number: the host's memory. */
enum { KVSTORE_DEVICE_HOST = -1 };

typedef enum kvstore_device_waits_for {
  KVSTORE_DEVICE_WAITS_FOR_NOTHING = 0,
  KVSTORE_DEVICE_WAITS_FOR_STREAM = 1,
  KVSTORE_DEVICE_WAITS_FOR_ALL = 2
} kvstore_device_waits_for;

/* What is known of a device. */
typedef struct kvstore_device_facts {
  char name[256];        /* its model; the last byte is 0 */
  uint64_t memory_bytes; /* in all */
  uint32_t major, minor; /* of its compute capability */
  uint32_t driver;       /* the CUDA that the driver is for, 13010 for 13.1; 0: there is none */
  uint32_t runtime;      /* the CUDA that the plugin is built with */
} kvstore_device_facts;

/* How a sum is encoded: 2 bits an element (2bit) or 1 (1bit). What is left over is in the
 * accumulator's dtype; `before` is null where nothing was, and may be `left_over`. */
typedef struct kvstore_device_encoding {
  uint32_t bits;
  double threshold;
  const void* before;
  void* left_over;
  void* encoded; /* whole 32-bit words */
} kvstore_device_encoding;

/* Sums of rows of `width` elements: sum s is the left fold of the rows at the addresses
 * rows[begins[s]] to rows[begins[s + 1] - 1], at least one. Both lists are of 64-bit numbers, in
 * the device's memory, as are the rows. */
typedef struct kvstore_device_rows {
  const void* rows;
  const void* begins;
  size_t sums;
  size_t width;
  int aligned;               /* whether all rows begin at multiples of 16 bytes, and are such */
  const void* const* arrays; /* of the host: where arrays with the rows begin */
  size_t array_count;
} kvstore_device_rows;

typedef struct kvstore_device_plugin {
  uint32_t abi;       /* KVSTORE_DEVICE_ABI */
  uint32_t simulated; /* whether there is no real device */
  const char* name;   /* one line: what it computes with */

  /* How many devices there are, from 1; they are numbered from 0. */
  int (*count)(int* devices, char* text, size_t text_bytes);
  /* `bytes`, at least 1, of a device's memory at a multiple of 256, not initialised. */
  int (*allocate)(int device, size_t bytes, void** memory, char* text, size_t text_bytes);
  void (*release)(int device, void* memory);
  int (*fill)(int device, void* to, int byte, size_t bytes, char* text, size_t text_bytes);
  /* Either side may be KVSTORE_DEVICE_HOST. */
  int (*copy)(int to_device, void* to, int from_device, const void* from, size_t bytes, char* text,
              size_t text_bytes);
  /* The left fold of `count` arrays, all in the device's memory, in their order: in the
   * accumulator's dtype, or, not 0 in `rounded`, in theirs, which f16 and bf16 allow for
   * `rounded_max` arrays at most. `to` is none of the arrays. */
  int (*fold)(int device, uint32_t dtype, const void* const* sources, size_t count, size_t elements,
              int rounded, void* to, char* text, size_t text_bytes);
  size_t rounded_max;
  /* Rounds f32 to `dtype`, f16 or bf16. */
  int (*narrow)(int device, uint32_t dtype, const void* from, size_t elements, void* to, char* text,
                size_t text_bytes);
  int (*describe)(int device, kvstore_device_facts* facts, char* text, size_t text_bytes);
  /* `bytes`, at least 1, of the host's memory that every device can copy from and to directly, at a
   * multiple of 256, not initialised. */
  int (*allocate_pinned)(int device, size_t bytes, void** memory, char* text, size_t text_bytes);
  void (*release_pinned)(int device, void* memory);
  /* Before memory that somebody else has allocated is used for the first time: that the address is
   * in the device's memory (else KVSTORE_DEVICE_INVALID); and waits, as `waits_for` says, until
   * what is on `stream` now, a cudaStream_t of the device, is done, or all that anybody in the
   * process has put on any stream of the device. */
  int (*adopt)(int device, const void* memory, int waits_for, void* stream, char* text,
               size_t text_bytes);
  /* The stream, a cudaStream_t, on which the plugin puts what it is asked of a device: for what
   * others (NCCL) put there, which has come to an end when `wait` returns. */
  int (*stream)(int device, void** stream, char* text, size_t text_bytes);
  int (*wait)(int device, char* text, size_t text_bytes);

  /* Streams: what is put on one is done in that order, later. A stream belongs to a device. It is
   * given back when all is done that was put on it. */
  int (*make_stream)(int device, void** stream, char* text, size_t text_bytes);
  void (*drop_stream)(int device, void* stream);
  /* Returns when all is done that has been put on the stream, or when that has failed. */
  int (*wait_for_stream)(int device, void* stream, char* text, size_t text_bytes);
  /* copy, fold and narrow, on a stream of `device`; memory stays as it is until they are done. One
   * side of a copy is the device's, or both are. From host memory that is not pinned the bytes are
   * taken at the call; a copy to such memory, and one between devices that do not reach each other,
   * is done when the call returns. */
  int (*copy_on)(int device, void* stream, int to_device, void* to, int from_device,
                 const void* from, size_t bytes, char* text, size_t text_bytes);
  int (*fold_on)(int device, void* stream, uint32_t dtype, const void* const* sources, size_t count,
                 size_t elements, int rounded, void* to, char* text, size_t text_bytes);
  int (*narrow_on)(int device, void* stream, uint32_t dtype, const void* from, size_t elements,
                   void* to, char* text, size_t text_bytes);

  /* Events: one comes when all is done that was on the stream when it was recorded there, the last
   * time if there were several; one that never was has come. Stream and event are the device's. */
  int (*make_event)(int device, void** event, char* text, size_t text_bytes);
  void (*drop_event)(int device, void* event);
  int (*record)(int device, void* event, void* stream, char* text, size_t text_bytes);
  int (*wait_for_event)(int device, void* event, char* text, size_t text_bytes);
  int (*has_come)(int device, void* event, int* come, char* text, size_t text_bytes);
  /* What is put on the stream from now on waits for the event, which may be another device's. */
  int (*await_event)(int device, void* stream, void* event, char* text, size_t text_bytes);

  /* The left fold of up to `encoded_max` arrays of f32, f64, f16 or bf16, rounded to their dtype,
   * on top of what was left over, encoded. All are in the device's memory. */
  int (*encode)(int device, uint32_t dtype, const void* const* sources, size_t count,
                size_t elements, const kvstore_device_encoding* as, char* text, size_t text_bytes);
  size_t encoded_max;

  /* Sums, one behind the other, in the accumulator's dtype. */
  int (*sum_rows)(int device, uint32_t dtype, const kvstore_device_rows* rows, void* to, char* text,
                  size_t text_bytes);
} kvstore_device_plugin;

#define KVSTORE_DEVICE_PLUGIN_SYMBOL "kvstore_device_plugin_v2"
typedef const kvstore_device_plugin* (*kvstore_device_plugin_function)(void);

#ifdef __cplusplus
}
#endif

/* NOLINTEND */

#endif /* KVSTORE_CLIENT_DEVICE_PLUGIN_ABI_H_ */
