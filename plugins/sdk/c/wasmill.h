// What C plugins are written with: the contract's types under short names, columns, buffers for what is returned, settings,
// log and metrics. A plugin defines the functions that `bindings.h` of its world declares as exported.
//
// Ownership is that of the bindings: what an exported function is given belongs to it and is freed by the `…_free` functions
// of the bindings; what it returns must come from malloc, as everything made here does, and is freed after the call.
#ifndef WASMILL_H
#define WASMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bindings.h"

typedef bindings_string_t wasmill_string;
typedef bindings_list_u32_t wasmill_list_u32;
typedef bindings_list_s64_t wasmill_list_s64;
typedef wasmill_plugin_types_binary_t wasmill_binary;
typedef wasmill_plugin_types_batch_t wasmill_batch;
typedef wasmill_plugin_types_column_t wasmill_column;
typedef wasmill_plugin_types_reject_t wasmill_reject;
typedef wasmill_plugin_types_failure_t wasmill_failure;
typedef exports_wasmill_plugin_lifecycle_description_t wasmill_description;
typedef exports_wasmill_plugin_lifecycle_needs_t wasmill_needs;
typedef exports_wasmill_plugin_lifecycle_side_output_t wasmill_side_output;

// === bytes ===

// Bytes that belong to somebody else.
typedef struct {
  const uint8_t *data;
  size_t len;
} wasmill_slice;

static inline wasmill_slice wasmill_text(const char *text) {
  return (wasmill_slice){(const uint8_t *)text, strlen(text)};
}

static inline wasmill_slice wasmill_slice_of(const wasmill_string *string) {
  return (wasmill_slice){string->ptr, string->len};
}

static inline bool wasmill_equal(wasmill_slice one, wasmill_slice other) {
  return one.len == other.len && (one.len == 0 || memcmp(one.data, other.data, one.len) == 0);
}

// Bytes that grow. Start with {0}.
typedef struct {
  uint8_t *data;
  size_t len;
  size_t capacity;
} wasmill_buffer;

// Makes room for `more` items of `size` bytes each; memory that runs out traps, which the host sees.
static inline void *wasmill_reserve(void *data, size_t len, size_t *capacity, size_t more, size_t size) {
  if (more <= *capacity - len && data != NULL) return data;
  size_t wanted = *capacity == 0 ? 64 : 2 * *capacity;
  if (wanted < len + more) wanted = len + more;
  void *grown = realloc(data, wanted * size);
  if (grown == NULL) __builtin_trap();
  *capacity = wanted;
  return grown;
}

static inline void wasmill_append(wasmill_buffer *buffer, wasmill_slice bytes) {
  buffer->data = wasmill_reserve(buffer->data, buffer->len, &buffer->capacity, bytes.len, 1);
  if (bytes.len != 0) memcpy(buffer->data + buffer->len, bytes.data, bytes.len);
  buffer->len += bytes.len;
}

static inline void wasmill_append_text(wasmill_buffer *buffer, const char *text) {
  wasmill_append(buffer, wasmill_text(text));
}

// Appends a whole number in decimal.
static inline void wasmill_append_s64(wasmill_buffer *buffer, int64_t value) {
  uint8_t digits[20];
  size_t at = sizeof digits;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do {
    digits[--at] = (uint8_t)('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) wasmill_append_text(buffer, "-");
  wasmill_append(buffer, (wasmill_slice){digits + at, sizeof digits - at});
}

// How many bytes of `text` are one character of UTF-8, 0 if they are none. `*broken` is how many to replace then.
static inline size_t wasmill_character(wasmill_slice text, size_t *broken) {
  uint8_t first = text.data[0];
  *broken = 1;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  size_t len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  for (size_t at = 1; at < len; at++, least = 0x80, most = 0xbf) {
    if (at == text.len || text.data[at] < least || text.data[at] > most) return 0;
    *broken = at + 1;
  }
  return len;
}

// Appends a JSON string, quotes included. What is not UTF-8 becomes U+FFFD.
static inline void wasmill_append_json(wasmill_buffer *buffer, wasmill_slice text) {
  static const char hex[] = "0123456789abcdef";
  wasmill_append_text(buffer, "\"");
  for (size_t at = 0; at < text.len;) {
    uint8_t byte = text.data[at];
    wasmill_slice rest = {text.data + at, text.len - at};
    size_t broken;
    size_t len = wasmill_character(rest, &broken);
    if (len == 0) {
      wasmill_append_text(buffer, "\xef\xbf\xbd");
      at += broken;
      continue;
    }
    const char *escape = byte == '"'    ? "\\\""
                         : byte == '\\' ? "\\\\"
                         : byte == '\b' ? "\\b"
                         : byte == '\f' ? "\\f"
                         : byte == '\n' ? "\\n"
                         : byte == '\r' ? "\\r"
                         : byte == '\t' ? "\\t"
                                        : NULL;
    if (escape != NULL) {
      wasmill_append_text(buffer, escape);
    } else if (byte < 0x20) {
      const char code[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15], 0};
      wasmill_append_text(buffer, code);
    } else {
      wasmill_append(buffer, (wasmill_slice){rest.data, len});
    }
    at += len;
  }
  wasmill_append_text(buffer, "\"");
}

// Gives the bytes of a buffer away, as a string to return.
static inline wasmill_string wasmill_into_string(wasmill_buffer *buffer) {
  wasmill_string string = {buffer->data, buffer->len};
  *buffer = (wasmill_buffer){0};
  return string;
}

static inline wasmill_string wasmill_string_of(const char *text) {
  wasmill_string string;
  bindings_string_dup(&string, text);
  return string;
}

// === columns that come in ===

// Item `at` of a column.
static inline wasmill_slice wasmill_item(const wasmill_binary *column, size_t at) {
  uint32_t start = at == 0 ? 0 : column->ends.ptr[at - 1];
  return (wasmill_slice){column->bytes.ptr + start, column->ends.ptr[at] - start};
}

// The cells of a declared field by its number, NULL if it has another type.
static inline const int64_t *wasmill_s64s(const wasmill_batch *batch, size_t field) {
  const wasmill_column *column = &batch->fields.ptr[field];
  return column->cells.tag == WASMILL_PLUGIN_TYPES_CELLS_S64S ? column->cells.val.s64s.ptr : NULL;
}

static inline const double *wasmill_f64s(const wasmill_batch *batch, size_t field) {
  const wasmill_column *column = &batch->fields.ptr[field];
  return column->cells.tag == WASMILL_PLUGIN_TYPES_CELLS_F64S ? column->cells.val.f64s.ptr : NULL;
}

static inline const bool *wasmill_bools(const wasmill_batch *batch, size_t field) {
  const wasmill_column *column = &batch->fields.ptr[field];
  return column->cells.tag == WASMILL_PLUGIN_TYPES_CELLS_BOOLS ? column->cells.val.bools.ptr : NULL;
}

static inline const wasmill_binary *wasmill_strings(const wasmill_batch *batch, size_t field) {
  const wasmill_column *column = &batch->fields.ptr[field];
  return column->cells.tag == WASMILL_PLUGIN_TYPES_CELLS_STRINGS ? &column->cells.val.strings : NULL;
}

// Goes through the rows that lack a field; rows must be asked for in ascending order. Start with {0}.
typedef struct {
  size_t next;
} wasmill_missing;

static inline bool wasmill_is_missing(wasmill_missing *cursor, const wasmill_batch *batch, size_t field, uint32_t row) {
  const wasmill_list_u32 *missing = &batch->fields.ptr[field].missing;
  while (cursor->next < missing->len && missing->ptr[cursor->next] < row) cursor->next++;
  return cursor->next < missing->len && missing->ptr[cursor->next] == row;
}

// === columns that go out ===

// A growing list of u32. Start with {0}.
typedef struct {
  uint32_t *data;
  size_t len;
  size_t capacity;
} wasmill_u32s_out;

static inline void wasmill_push_u32(wasmill_u32s_out *list, uint32_t value) {
  list->data = wasmill_reserve(list->data, list->len, &list->capacity, 1, sizeof value);
  list->data[list->len++] = value;
}

static inline wasmill_list_u32 wasmill_into_u32s(wasmill_u32s_out *list) {
  wasmill_list_u32 out = {list->data, list->len};
  *list = (wasmill_u32s_out){0};
  return out;
}

// A growing list of s64. Start with {0}.
typedef struct {
  int64_t *data;
  size_t len;
  size_t capacity;
} wasmill_s64s_out;

static inline void wasmill_push_s64(wasmill_s64s_out *list, int64_t value) {
  list->data = wasmill_reserve(list->data, list->len, &list->capacity, 1, sizeof value);
  list->data[list->len++] = value;
}

static inline wasmill_list_s64 wasmill_into_s64s(wasmill_s64s_out *list) {
  wasmill_list_s64 out = {list->data, list->len};
  *list = (wasmill_s64s_out){0};
  return out;
}

// A growing column: append to `bytes`, then close the item. Start with {0}.
typedef struct {
  wasmill_buffer bytes;
  wasmill_u32s_out ends;
} wasmill_binary_out;

static inline void wasmill_close(wasmill_binary_out *column) {
  wasmill_push_u32(&column->ends, (uint32_t)column->bytes.len);
}

static inline void wasmill_push(wasmill_binary_out *column, wasmill_slice item) {
  wasmill_append(&column->bytes, item);
  wasmill_close(column);
}

static inline wasmill_binary wasmill_into_binary(wasmill_binary_out *column) {
  wasmill_binary out = {.ends = wasmill_into_u32s(&column->ends),
                        .bytes = {column->bytes.data, column->bytes.len}};
  column->bytes = (wasmill_buffer){0};
  return out;
}

// Growing refusals. Start with {0}.
typedef struct {
  wasmill_reject *data;
  size_t len;
  size_t capacity;
} wasmill_rejects_out;

static inline void wasmill_refuse(wasmill_rejects_out *rejects, uint32_t row, const char *reason) {
  rejects->data = wasmill_reserve(rejects->data, rejects->len, &rejects->capacity, 1, sizeof *rejects->data);
  rejects->data[rejects->len++] = (wasmill_reject){row, wasmill_string_of(reason)};
}

// === states ===

// Numbers at fixed places, little-endian, as WebAssembly has them in memory.
static inline void wasmill_append_le64(wasmill_buffer *buffer, int64_t value) {
  wasmill_append(buffer, (wasmill_slice){(const uint8_t *)&value, sizeof value});
}

static inline int64_t wasmill_read_le64(wasmill_slice bytes, size_t number) {
  int64_t value;
  memcpy(&value, bytes.data + number * sizeof value, sizeof value);
  return value;
}

// === failures, log, metrics ===

// The call has failed; returns what an exported function returns then.
static inline bool wasmill_fatal(wasmill_failure *failure, wasmill_string words) {
  failure->tag = WASMILL_PLUGIN_TYPES_FAILURE_FATAL;
  failure->val.fatal = words;
  return false;
}

static inline bool wasmill_retry(wasmill_failure *failure, wasmill_string words) {
  failure->tag = WASMILL_PLUGIN_TYPES_FAILURE_RETRY;
  failure->val.retry = words;
  return false;
}

static inline void wasmill_log(wasmill_plugin_log_level_t level, wasmill_slice line) {
  bindings_string_t message = {(uint8_t *)line.data, line.len};
  wasmill_plugin_log_log(level, &message);
}

static inline void wasmill_count(const char *name, uint64_t by) {
  bindings_string_t string = {(uint8_t *)name, strlen(name)};
  wasmill_plugin_metrics_count(&string, by);
}

// === settings ===

// Goes through the members of a JSON object. Names and values are given as they are written.
typedef struct {
  wasmill_slice rest;
  bool is_broken;
} wasmill_members;

static inline void wasmill_skip_space(wasmill_slice *text) {
  while (text->len > 0 && strchr(" \t\r\n", text->data[0]) != NULL && text->data[0] != 0) {
    text->data++;
    text->len--;
  }
}

static inline bool wasmill_skip(wasmill_slice *text, char mark) {
  wasmill_skip_space(text);
  if (text->len == 0 || text->data[0] != (uint8_t)mark) return false;
  text->data++;
  text->len--;
  return true;
}

// Starts with the members of the object `json`.
static inline wasmill_members wasmill_members_of(wasmill_slice json) {
  wasmill_members members = {json, false};
  members.is_broken = !wasmill_skip(&members.rest, '{');
  return members;
}

// The length of the JSON value that `text` begins with. The host has parsed settings before, so it is well-formed.
static inline size_t wasmill_value_len(wasmill_slice text) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < text.len; at++) {
    uint8_t byte = text.data[at];
    if (in_string) {
      if (byte == '\\') at++;
      else if (byte == '"') in_string = false;
    } else if (byte == '"') {
      in_string = true;
    } else if (byte == '{' || byte == '[') {
      depth++;
    } else if (depth == 0 && (byte == ',' || byte == '}' || byte == ']' || byte == ' ')) {
      return at;
    } else if (byte == '}' || byte == ']') {
      depth--;
    }
  }
  return text.len;
}

// The next member, its name without quotes. False when there are no more, or when the text is broken.
static inline bool wasmill_next(wasmill_members *members, wasmill_slice *name, wasmill_slice *value) {
  wasmill_slice *rest = &members->rest;
  if (members->is_broken || wasmill_skip(rest, '}')) return false;
  (void)wasmill_skip(rest, ',');
  wasmill_skip_space(rest);
  size_t len = 1;
  while (len < rest->len && rest->data[len] != '"') len += rest->data[len] == '\\' ? 2 : 1;
  if (rest->len == 0 || rest->data[0] != '"' || len >= rest->len) {
    members->is_broken = true;
    return false;
  }
  *name = (wasmill_slice){rest->data + 1, len - 1};
  *rest = (wasmill_slice){rest->data + len + 1, rest->len - len - 1};
  members->is_broken = !wasmill_skip(rest, ':');
  wasmill_skip_space(rest);
  len = wasmill_value_len(*rest);
  *value = (wasmill_slice){rest->data, len};
  *rest = (wasmill_slice){rest->data + len, rest->len - len};
  return !members->is_broken;
}

// Reads a whole number. False if the value is none, or too large.
static inline bool wasmill_integer(wasmill_slice value, int64_t *number) {
  size_t at = value.len > 0 && value.data[0] == '-' ? 1 : 0;
  if (at == value.len || value.len - at > 18) return false;
  int64_t read = 0;
  for (size_t digit = at; digit < value.len; digit++) {
    if (value.data[digit] < '0' || value.data[digit] > '9') return false;
    read = read * 10 + (value.data[digit] - '0');
  }
  *number = at == 1 ? -read : read;
  return true;
}

#endif
