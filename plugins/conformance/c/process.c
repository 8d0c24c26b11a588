// The process that every SDK is checked with. The rules are those of `conformance/README.md`.

#include "conformance.h"

enum { MINUTE = 60000 };

// A key: its state, if it has one, and its pending timers in the order of their times.
typedef struct {
  bool has_state;
  int64_t count, sum, last;
  wasmill_s64s_out timers;
  size_t fired;
} key_state;

// The rows of an output.
typedef struct {
  wasmill_u32s_out origins;
  wasmill_s64s_out times;
  wasmill_binary_out values;
} output;

void exports_wasmill_plugin_lifecycle_describe(wasmill_description *ret) {
  describe(ret, "conformance-process", 1);
}

bool exports_wasmill_plugin_lifecycle_configure(bindings_string_t *settings, wasmill_needs *ret, bindings_string_t *err) {
  static const char *const fields[] = {"/id: s64", "/cents: s64"};
  if (!read_settings(settings, err)) return false;
  need(ret, fields, 2, true);
  need_side(ret, "idle", true);
  return true;
}

static bool bad_state(wasmill_failure *err) {
  return wasmill_fatal(err, wasmill_string_of("a stored state has another length than those of this version"));
}

bool exports_wasmill_plugin_lifecycle_migrate(uint32_t from_version, wasmill_binary *states, wasmill_binary *ret,
                                              wasmill_failure *err) {
  wasmill_binary_out out = {0};
  bool fits = true;
  for (size_t at = 0; at < states->ends.len && from_version == 0; at++) {
    wasmill_slice old = wasmill_item(states, at);
    fits &= old.len == 0 || old.len == 16;
    wasmill_append(&out.bytes, old);
    if (old.len > 0) wasmill_append_le64(&out.bytes, 0);
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

static bool read_keys(key_state *keys, const wasmill_binary *states,
                      const exports_wasmill_plugin_processing_timers_t *timers) {
  for (size_t at = 0; at < states->ends.len; at++) {
    wasmill_slice stored = wasmill_item(states, at);
    if (stored.len == 0) continue;
    if (stored.len != 24) return false;
    keys[at].has_state = true;
    keys[at].count = wasmill_read_le64(stored, 0);
    keys[at].sum = wasmill_read_le64(stored, 1);
    keys[at].last = wasmill_read_le64(stored, 2);
  }
  for (size_t at = 0; at < timers->times.len; at++) {
    wasmill_push_s64(&keys[timers->groups.ptr[at]].timers, timers->times.ptr[at]);
  }
  return true;
}

// Sets a timer, unless it is there.
static void set_timer(key_state *key, int64_t time) {
  int64_t *times = key->timers.data;
  size_t at = key->timers.len;
  while (at > key->fired && times[at - 1] > time) at--;
  if (at > key->fired && times[at - 1] == time) return;
  wasmill_push_s64(&key->timers, time);
  times = key->timers.data;
  memmove(times + at + 1, times + at, (key->timers.len - 1 - at) * sizeof *times);
  times[at] = time;
}

static void append_key(wasmill_buffer *json, wasmill_slice key) {
  wasmill_append_text(json, "{\"key\":");
  wasmill_append_json(json, key);
}

// Fires the timers of a key up to and including `until`.
static void fire(key_state *key, wasmill_slice name, uint32_t origin, int64_t until, output *idle) {
  while (key->fired < key->timers.len && key->timers.data[key->fired] <= until) {
    int64_t time = key->timers.data[key->fired++];
    if (!key->has_state || key->last + MINUTE >= time) continue;
    wasmill_buffer *json = &idle->values.bytes;
    append_key(json, name);
    append_number(json, ",\"count\":", key->count);
    append_number(json, ",\"sum\":", key->sum);
    append_number(json, ",\"at\":", time);
    wasmill_append_text(json, "}");
    wasmill_close(&idle->values);
    wasmill_push_u32(&idle->origins, origin);
    wasmill_push_s64(&idle->times, time);
    key->has_state = false;
  }
}

static void add_row(key_state *key, wasmill_slice name, uint32_t row, int64_t time, int64_t id, int64_t cents, output *main) {
  if (!key->has_state) {
    key->count = 0;
    key->sum = 0;
    key->has_state = true;
  }
  key->count += 1;
  key->sum += cents * factor;
  key->last = time;
  set_timer(key, floor_div(time, MINUTE) * MINUTE + 2 * MINUTE);
  if (cents * key->count <= key->sum + 100 * factor * key->count) return;
  wasmill_buffer *json = &main->values.bytes;
  append_key(json, name);
  append_number(json, ",\"id\":", id);
  append_number(json, ",\"cents\":", cents);
  append_number(json, ",\"count\":", key->count);
  wasmill_append_text(json, "}");
  wasmill_close(&main->values);
  wasmill_push_u32(&main->origins, row);
}

static wasmill_plugin_types_rows_t into_rows(output *out) {
  wasmill_plugin_types_rows_t rows = {0};
  rows.origins.is_some = true;
  rows.origins.val = wasmill_into_u32s(&out->origins);
  rows.times.is_some = out->times.len > 0;
  if (rows.times.is_some) rows.times.val = wasmill_into_s64s(&out->times);
  rows.values.is_some = true;
  rows.values.val = wasmill_into_binary(&out->values);
  return rows;
}

// The states and timers of all keys, which are used up.
static void write_keys(key_state *keys, size_t count, exports_wasmill_plugin_processing_output_t *ret) {
  wasmill_binary_out states = {0};
  wasmill_u32s_out groups = {0};
  wasmill_s64s_out times = {0};
  for (uint32_t at = 0; at < count; at++) {
    key_state *key = &keys[at];
    if (key->has_state) {
      wasmill_append_le64(&states.bytes, key->count);
      wasmill_append_le64(&states.bytes, key->sum);
      wasmill_append_le64(&states.bytes, key->last);
    }
    wasmill_close(&states);
    for (size_t timer = key->fired; timer < key->timers.len; timer++) {
      wasmill_push_u32(&groups, at);
      wasmill_push_s64(&times, key->timers.data[timer]);
    }
  }
  ret->states = wasmill_into_binary(&states);
  ret->timers.groups = wasmill_into_u32s(&groups);
  ret->timers.times = wasmill_into_s64s(&times);
}

static void free_keys(key_state *keys, size_t count) {
  for (size_t at = 0; at < count; at++) free(keys[at].timers.data);
  free(keys);
}

static void take_turn(const exports_wasmill_plugin_processing_turn_t *turn, const int64_t *ids, const int64_t *cents,
                      key_state *keys, exports_wasmill_plugin_processing_output_t *ret) {
  uint32_t rows = (uint32_t)turn->batch.times.len, count = (uint32_t)turn->keys.ends.len;
  output main = {0}, idle = {0};
  wasmill_rejects_out rejects = {0};
  for (uint32_t row = 0; row < rows; row++) {
    uint32_t group = turn->groups.ptr[row];
    wasmill_slice name = wasmill_item(&turn->keys, group);
    int64_t time = turn->batch.times.ptr[row];
    if (turn->ordered) fire(&keys[group], name, rows + group, time, &idle);
    if (cents[row] == 13) wasmill_refuse(&rejects, row, "unlucky");
    else add_row(&keys[group], name, row, time, ids[row], cents[row], &main);
  }
  for (uint32_t group = 0; group < count; group++) {
    fire(&keys[group], wasmill_item(&turn->keys, group), rows + group, turn->watermark, &idle);
  }
  wasmill_count("rows", rows);
  write_keys(keys, count, ret);
  ret->main = into_rows(&main);
  if (idle.origins.len > 0) {
    ret->sides.ptr = calloc(1, sizeof *ret->sides.ptr);
    ret->sides.len = 1;
    ret->sides.ptr[0].rows = into_rows(&idle);
  }
  ret->rejects.ptr = rejects.data;
  ret->rejects.len = rejects.len;
}

bool exports_wasmill_plugin_processing_process(exports_wasmill_plugin_processing_turn_t *turn,
                                               exports_wasmill_plugin_processing_output_t *ret, wasmill_failure *err) {
  const int64_t *ids = wasmill_s64s(&turn->batch, 0), *cents = wasmill_s64s(&turn->batch, 1);
  size_t count = turn->keys.ends.len;
  key_state *keys = calloc(count + 1, sizeof *keys);
  if (keys == NULL) __builtin_trap();
  bool fits = ids != NULL && cents != NULL && read_keys(keys, &turn->states, &turn->timers);
  *ret = (exports_wasmill_plugin_processing_output_t){0};
  if (fits) take_turn(turn, ids, cents, keys, ret);
  free_keys(keys, count);
  exports_wasmill_plugin_processing_turn_free(turn);
  return fits || bad_state(err);
}
