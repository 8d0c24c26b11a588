// What the three guests have in common: who they are, and their one setting.
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <wasmill.h>

// Set by `configure`, before anything else is called.
static int64_t factor = 2;

static inline void describe(wasmill_description *ret, const char *name, uint32_t state_version) {
  *ret = (wasmill_description){
      .name = wasmill_string_of(name),
      .version = wasmill_string_of("0.1.0"),
      .settings = {.is_some = true,
                   .val = wasmill_string_of("{\"type\":\"object\",\"properties\":{\"factor\":{\"type\":\"integer\",\"default\":2,"
                                            "\"minimum\":1}},\"required\":[],\"additionalProperties\":false}")},
      .state_version = state_version,
  };
}

static inline bool is_less(wasmill_slice one, wasmill_slice other) {
  size_t shorter = one.len < other.len ? one.len : other.len;
  int order = shorter == 0 ? 0 : memcmp(one.data, other.data, shorter);
  return order < 0 || (order == 0 && one.len < other.len);
}

// Reads the settings. Of several unknown ones the error names the first by name.
static inline bool read_settings(bindings_string_t *settings, wasmill_string *err) {
  wasmill_members members = wasmill_members_of(wasmill_slice_of(settings));
  wasmill_slice name, value, unknown = {0}, wrong = {0};
  factor = 2;
  while (wasmill_next(&members, &name, &value)) {
    if (wasmill_equal(name, wasmill_text("factor"))) {
      if (!wasmill_integer(value, &factor) || factor < 1) wrong = value;
    } else if (unknown.data == NULL || is_less(name, unknown)) {
      unknown = name;
    }
  }
  wasmill_buffer words = {0};
  if (members.is_broken) {
    wasmill_append_text(&words, "settings: expected an object");
  } else if (unknown.data != NULL) {
    wasmill_append_text(&words, "unknown setting \"");
    wasmill_append(&words, unknown);
    wasmill_append_text(&words, "\", expected factor");
  } else if (wrong.data != NULL) {
    wasmill_append_text(&words, "setting \"factor\": expected a whole number of at least 1, found ");
    wasmill_append(&words, wrong);
  }
  bindings_string_free(settings);
  if (words.len == 0) return true;
  *err = wasmill_into_string(&words);
  return false;
}

// The needs of a plugin that wants these fields. Side outputs are for the caller to add.
static inline void need(wasmill_needs *ret, const char *const *fields, size_t count, bool writes_values) {
  *ret = (wasmill_needs){.reads_values = false, .writes_values = writes_values};
  ret->fields.ptr = calloc(count, sizeof *ret->fields.ptr);
  ret->fields.len = count;
  for (size_t at = 0; at < count; at++) ret->fields.ptr[at] = wasmill_string_of(fields[at]);
}

static inline void need_side(wasmill_needs *ret, const char *name, bool writes_values) {
  ret->side_outputs.ptr = calloc(1, sizeof *ret->side_outputs.ptr);
  ret->side_outputs.len = 1;
  ret->side_outputs.ptr[0] = (wasmill_side_output){wasmill_string_of(name), writes_values};
}

// The failure of `migrate` for a version that never was.
static inline bool unknown_version(wasmill_failure *err, uint32_t version) {
  wasmill_buffer words = {0};
  wasmill_append_text(&words, "unknown version ");
  wasmill_append_s64(&words, version);
  return wasmill_fatal(err, wasmill_into_string(&words));
}

// The quotient rounded down, and what is left, for a positive divisor.
static inline int64_t floor_div(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

static inline int64_t floor_mod(int64_t value, int64_t by) {
  return value - by * floor_div(value, by);
}

// Appends what stands before a number, such as `,"sum":`, and the number.
static inline void append_number(wasmill_buffer *json, const char *name, int64_t value) {
  wasmill_append_text(json, name);
  wasmill_append_s64(json, value);
}

#endif
