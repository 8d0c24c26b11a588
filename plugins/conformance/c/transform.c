// The transform that every SDK is checked with. The rules are those of `conformance/README.md`.

#include "conformance.h"

void exports_wasmill_plugin_lifecycle_describe(wasmill_description *ret) {
  describe(ret, "conformance-transform", 0);
}

bool exports_wasmill_plugin_lifecycle_configure(bindings_string_t *settings, wasmill_needs *ret, bindings_string_t *err) {
  static const char *const fields[] = {"/id: s64", "/name: string?", "/amount: f64"};
  if (!read_settings(settings, err)) return false;
  need(ret, fields, 3, true);
  need_side(ret, "nameless", false);
  return true;
}

bool exports_wasmill_plugin_lifecycle_migrate(uint32_t from_version, wasmill_binary *states, wasmill_binary *ret,
                                              wasmill_failure *err) {
  (void)from_version, (void)ret;
  wasmill_plugin_types_binary_free(states);
  return wasmill_fatal(err, wasmill_string_of("no state"));
}

// The rows of the main output.
typedef struct {
  wasmill_u32s_out origins;
  wasmill_s64s_out times;
  wasmill_binary_out keys;
  wasmill_binary_out values;
} output;

static void emit(output *out, uint32_t row, int64_t time, wasmill_slice name, int64_t id, int64_t cents) {
  wasmill_buffer *json = &out->values.bytes;
  wasmill_push_u32(&out->origins, row);
  wasmill_push_s64(&out->times, time);
  wasmill_push(&out->keys, name);
  append_number(json, "{\"id\":", id);
  wasmill_append_text(json, ",\"name\":");
  wasmill_append_json(json, name);
  append_number(json, ",\"cents\":", cents);
  wasmill_append_text(json, "}");
  wasmill_close(&out->values);
}

// Whether every row came out once and in order.
static bool is_whole(const wasmill_u32s_out *origins, size_t rows) {
  for (size_t at = 0; at < origins->len; at++) {
    if (origins->data[at] != at) return false;
  }
  return origins->len == rows;
}

bool exports_wasmill_plugin_transformer_transform(wasmill_batch *batch, exports_wasmill_plugin_transformer_output_t *ret,
                                                  wasmill_failure *err) {
  const int64_t *ids = wasmill_s64s(batch, 0);
  const wasmill_binary *names = wasmill_strings(batch, 1);
  const double *amounts = wasmill_f64s(batch, 2);
  size_t rows = batch->times.len;
  if (ids == NULL || names == NULL || amounts == NULL) {
    wasmill_plugin_types_batch_free(batch);
    return wasmill_fatal(err, wasmill_string_of("the host sent other columns than declared"));
  }
  wasmill_missing nameless = {0};
  wasmill_u32s_out side = {0};
  wasmill_rejects_out rejects = {0};
  output out = {0};
  for (uint32_t row = 0; row < rows; row++) {
    bool has_no_name = wasmill_is_missing(&nameless, batch, 1, row);
    if (ids[row] % 7 == 0) continue;
    if (amounts[row] < 0) {
      wasmill_refuse(&rejects, row, "negative amount");
    } else if (has_no_name) {
      wasmill_push_u32(&side, row);
    } else {
      int64_t cents = (int64_t)__builtin_floor(amounts[row] * (double)factor * 100 + 0.5);
      int64_t time = batch->times.ptr[row] + floor_mod(ids[row], 1000);
      wasmill_slice name = wasmill_item(names, row);
      emit(&out, row, time, name, ids[row], cents);
      if (ids[row] % 5 == 0) emit(&out, row, time, name, -ids[row], cents);
    }
  }
  wasmill_count("rows", rows);
  *ret = (exports_wasmill_plugin_transformer_output_t){0};
  ret->main.origins.is_some = !is_whole(&out.origins, rows);
  if (ret->main.origins.is_some) ret->main.origins.val = wasmill_into_u32s(&out.origins);
  else free(out.origins.data);
  ret->main.times.is_some = ret->main.keys.is_some = ret->main.values.is_some = true;
  ret->main.times.val = wasmill_into_s64s(&out.times);
  ret->main.keys.val = wasmill_into_binary(&out.keys);
  ret->main.values.val = wasmill_into_binary(&out.values);
  if (side.len > 0) {
    ret->sides.ptr = calloc(1, sizeof *ret->sides.ptr);
    ret->sides.len = 1;
    ret->sides.ptr[0].rows.origins.is_some = true;
    ret->sides.ptr[0].rows.origins.val = wasmill_into_u32s(&side);
  }
  ret->rejects.ptr = rejects.data;
  ret->rejects.len = rejects.len;
  wasmill_plugin_types_batch_free(batch);
  return true;
}
