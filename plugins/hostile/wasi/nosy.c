// Looks for everything that an operating system has, by way of a whole libc: environment, files, folders, clocks, sleep,
// randomness, standard output. For each row it returns what it found, in place of the value.
//
// It imports WASI, so the host refuses it unless its step grants that.

#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <wasmill.h>

extern char **environ;

void exports_wasmill_plugin_lifecycle_describe(wasmill_description *ret) {
  *ret = (wasmill_description){.name = wasmill_string_of("nosy"), .version = wasmill_string_of("0.1.0")};
}

bool exports_wasmill_plugin_lifecycle_configure(bindings_string_t *settings, wasmill_needs *ret, bindings_string_t *err) {
  (void)err;
  bindings_string_free(settings);
  *ret = (wasmill_needs){.writes_values = true};
  return true;
}

bool exports_wasmill_plugin_lifecycle_migrate(uint32_t from_version, wasmill_binary *states, wasmill_binary *ret,
                                              wasmill_failure *err) {
  (void)from_version, (void)ret;
  wasmill_plugin_types_binary_free(states);
  return wasmill_fatal(err, wasmill_string_of("no state"));
}

static int environment(void) {
  int count = 0;
  while (environ != NULL && environ[count] != NULL) count++;
  return count + (getenv("PATH") != NULL);
}

static int files(void) {
  static const char *const paths[] = {"/etc/passwd", "/proc/self/environ", "Cargo.toml", "."};
  int opened = 0;
  for (size_t at = 0; at < sizeof paths / sizeof *paths; at++) {
    FILE *file = fopen(paths[at], "r");
    if (file != NULL) opened++, fclose(file);
    DIR *folder = opendir(paths[at]);
    if (folder != NULL) opened++, closedir(folder);
  }
  FILE *file = fopen("/tmp/nosy", "w");
  if (file != NULL) opened++, fclose(file);
  return opened;
}

static uint64_t randomness(void) {
  uint64_t random;
  if (getentropy(&random, sizeof random) != 0) __builtin_trap();
  return random;
}

static int64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) __builtin_trap();
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool exports_wasmill_plugin_transformer_transform(wasmill_batch *batch, exports_wasmill_plugin_transformer_output_t *ret,
                                                  wasmill_failure *err) {
  (void)err;
  size_t rows = batch->times.len;
  wasmill_binary_out values = {0};
  for (size_t row = 0; row < rows; row++) {
    int64_t before = nanoseconds(CLOCK_MONOTONIC);
    // A year: whoever waits for it is noticed.
    nanosleep(&(struct timespec){.tv_sec = 31536000}, NULL);
    char found[256];
    int len = snprintf(found, sizeof found,
                       "{\"environment\":%d,\"files\":%d,\"time\":%lld,\"waited_ns\":%lld,\"random\":\"%016llx\"}",
                       environment(), files(), (long long)nanoseconds(CLOCK_REALTIME),
                       (long long)(nanoseconds(CLOCK_MONOTONIC) - before), (unsigned long long)randomness());
    wasmill_push(&values, (wasmill_slice){(const uint8_t *)found, (size_t)len});
  }
  printf("nosy looked at %zu rows\n", rows);
  fflush(stdout);
  wasmill_plugin_types_batch_free(batch);
  *ret = (exports_wasmill_plugin_transformer_output_t){0};
  ret->main.values.is_some = true;
  ret->main.values.val = wasmill_into_binary(&values);
  return true;
}
