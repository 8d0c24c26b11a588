// The aggregator that every SDK is checked with. The rules are those of `conformance/README.md`.

#include "conformance.h"

typedef struct {
  int64_t count, sum, min, max;
} totals;

static const totals fresh = {0, 0, INT64_MAX, INT64_MIN};

void exports_wasmill_plugin_lifecycle_describe(wasmill_description *ret) {
  describe(ret, "conformance-aggregator", 1);
}

bool exports_wasmill_plugin_lifecycle_configure(bindings_string_t *settings, wasmill_needs *ret, bindings_string_t *err) {
  static const char *const fields[] = {"/id: s64", "/cents: s64"};
  if (!read_settings(settings, err)) return false;
  need(ret, fields, 2, true);
  return true;
}

static void write(wasmill_binary_out *out, const totals *state) {
  wasmill_push(out, (wasmill_slice){(const uint8_t *)state, sizeof *state});
}

// The accumulators of a column, in memory of their own. NULL if one has another length.
static totals *read_all(const wasmill_binary *column) {
  totals *all = calloc(column->ends.len + 1, sizeof *all);
  if (all == NULL) __builtin_trap();
  for (size_t at = 0; at < column->ends.len; at++) {
    wasmill_slice stored = wasmill_item(column, at);
    if (stored.len == 0) {
      all[at] = fresh;
    } else if (stored.len == sizeof *all) {
      memcpy(&all[at], stored.data, sizeof *all);
    } else {
      free(all);
      return NULL;
    }
  }
  return all;
}

static bool bad_state(wasmill_failure *err) {
  return wasmill_fatal(err, wasmill_string_of("a stored accumulator has another length than those of this version"));
}

bool exports_wasmill_plugin_lifecycle_migrate(uint32_t from_version, wasmill_binary *states, wasmill_binary *ret,
                                              wasmill_failure *err) {
  wasmill_binary_out out = {0};
  bool fits = true;
  for (size_t at = 0; at < states->ends.len && from_version == 0; at++) {
    wasmill_slice old = wasmill_item(states, at);
    fits &= old.len == 0 || old.len == 24;
    wasmill_append(&out.bytes, old);
    // The maximum of version 0 is taken to be its minimum.
    if (fits && old.len > 0) wasmill_append_le64(&out.bytes, wasmill_read_le64(old, 2));
    wasmill_close(&out);
  }
  bool is_empty = states->ends.len == 0;
  wasmill_plugin_types_binary_free(states);
  if (from_version != 0 && !is_empty) return unknown_version(err, from_version);
  *ret = wasmill_into_binary(&out);
  if (fits) return true;
  wasmill_plugin_types_binary_free(ret);
  return bad_state(err);
}

bool exports_wasmill_plugin_aggregation_accumulate(wasmill_binary *accumulators, wasmill_list_u32 *groups, wasmill_batch *batch,
                                                   exports_wasmill_plugin_aggregation_accumulated_t *ret,
                                                   wasmill_failure *err) {
  const int64_t *ids = wasmill_s64s(batch, 0), *cents = wasmill_s64s(batch, 1);
  totals *all = read_all(accumulators);
  wasmill_rejects_out rejects = {0};
  bool fits = ids != NULL && cents != NULL && all != NULL;
  for (uint32_t row = 0; fits && row < groups->len; row++) {
    totals *into = &all[groups->ptr[row]];
    if (cents[row] == 13) {
      wasmill_refuse(&rejects, row, "unlucky");
      continue;
    }
    into->count += 1;
    into->sum += cents[row] * factor;
    if (ids[row] < into->min) into->min = ids[row];
    if (ids[row] > into->max) into->max = ids[row];
  }
  if (fits) {
    wasmill_count("rows", groups->len);
    wasmill_binary_out out = {0};
    for (size_t at = 0; at < accumulators->ends.len; at++) write(&out, &all[at]);
    ret->accumulators = wasmill_into_binary(&out);
    ret->rejects.ptr = rejects.data;
    ret->rejects.len = rejects.len;
  }
  free(all);
  wasmill_plugin_types_binary_free(accumulators);
  bindings_list_u32_free(groups);
  wasmill_plugin_types_batch_free(batch);
  return fits || bad_state(err);
}

bool exports_wasmill_plugin_aggregation_merge(wasmill_binary *accumulators, wasmill_list_u32 *groups, uint32_t count,
                                              wasmill_binary *ret, wasmill_failure *err) {
  totals *all = read_all(accumulators), *merged = calloc((size_t)count + 1, sizeof *merged);
  if (merged == NULL) __builtin_trap();
  for (uint32_t at = 0; at < count; at++) merged[at] = fresh;
  for (size_t at = 0; all != NULL && at < groups->len; at++) {
    totals *into = &merged[groups->ptr[at]];
    into->count += all[at].count;
    into->sum += all[at].sum;
    if (all[at].min < into->min) into->min = all[at].min;
    if (all[at].max > into->max) into->max = all[at].max;
  }
  wasmill_binary_out out = {0};
  for (uint32_t at = 0; at < count; at++) write(&out, &merged[at]);
  *ret = wasmill_into_binary(&out);
  bool fits = all != NULL;
  if (!fits) wasmill_plugin_types_binary_free(ret);
  free(all);
  free(merged);
  wasmill_plugin_types_binary_free(accumulators);
  bindings_list_u32_free(groups);
  return fits || bad_state(err);
}

static void append_key(wasmill_buffer *json, wasmill_slice key) {
  wasmill_append_text(json, "{\"key\":");
  wasmill_append_json(json, key);
}

bool exports_wasmill_plugin_aggregation_finish(exports_wasmill_plugin_aggregation_fired_t *fired,
                                               exports_wasmill_plugin_aggregation_finished_t *ret, wasmill_failure *err) {
  totals *all = read_all(&fired->accumulators);
  wasmill_u32s_out origins = {0};
  wasmill_binary_out values = {0};
  wasmill_rejects_out rejects = {0};
  bool is_whole = true;
  for (uint32_t at = 0; all != NULL && at < fired->starts.len; at++) {
    wasmill_slice key = wasmill_item(&fired->keys, at);
    wasmill_buffer *json = &values.bytes;
    if (all[at].count % 11 == 0) {
      wasmill_refuse(&rejects, at, "eleven");
      is_whole = false;
      continue;
    }
    append_key(json, key);
    append_number(json, ",\"count\":", all[at].count);
    append_number(json, ",\"sum\":", all[at].sum);
    append_number(json, ",\"min\":", all[at].min);
    append_number(json, ",\"max\":", all[at].max);
    append_number(json, ",\"from\":", fired->starts.ptr[at]);
    append_number(json, ",\"to\":", fired->ends.ptr[at]);
    bool is_late = fired->panes.ptr[at] == EXPORTS_WASMILL_PLUGIN_AGGREGATION_PANE_LATE;
    wasmill_append_text(json, is_late ? ",\"late\":true}" : ",\"late\":false}");
    wasmill_close(&values);
    wasmill_push_u32(&origins, at);
    if (all[at].sum % 2 != 0) {
      append_key(json, key);
      append_number(json, ",\"odd\":", all[at].sum);
      wasmill_append_text(json, "}");
      wasmill_close(&values);
      wasmill_push_u32(&origins, at);
      is_whole = false;
    }
  }
  ret->origins.is_some = !is_whole;
  if (is_whole) free(origins.data);
  else ret->origins.val = wasmill_into_u32s(&origins);
  ret->values = wasmill_into_binary(&values);
  ret->rejects.ptr = rejects.data;
  ret->rejects.len = rejects.len;
  bool fits = all != NULL;
  free(all);
  exports_wasmill_plugin_aggregation_fired_free(fired);
  return fits || bad_state(err);
}
