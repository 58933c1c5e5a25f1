/* Files replaced as a whole or not at all: src/io/file.c. */
#include "io_scratch.h"

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/memory.h"

static cnn_status write_text(void *context, struct file_writer *writer) {
  const char *text = *(const char **)context;
  return file_write(writer, text, strlen(text));
}

static cnn_status put_text(const char *path, const char *text) {
  return file_replace(path, write_text, &text);
}

static cnn_status write_and_fail(void *context, struct file_writer *writer) {
  (void)context;
  CNN_TRY(file_write(writer, "half", 4));
  return CNN_FAIL(CNN_E_NUMERIC, "a reason of the caller's");
}

static cnn_status write_much(void *context, struct file_writer *writer) {
  (void)context;
  static char block[1 << 16];
  for (int i = 0; i < 16; i++) CNN_TRY(file_write(writer, block, sizeof block));
  return CNN_OK;
}

static mode_t mode_of(const char *path) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  return info.st_mode & 07777;
}

static void test_new_and_replaced(void **state) {
  (void)state;
  mode_t mask = umask(027);
  assert_int_equal(put_text(in_scratch("a"), "one"), CNN_OK);
  umask(mask);
  assert_contents(in_scratch("a"), "one");
  assert_int_equal(mode_of(in_scratch("a")), 0640);

  assert_int_equal(chmod(in_scratch("a"), 0626), 0);
  assert_int_equal(put_text(in_scratch("a"), "two, longer"), CNN_OK);
  assert_int_equal(put_text(in_scratch("a"), ""), CNN_OK);
  assert_contents(in_scratch("a"), "");
  assert_int_equal(mode_of(in_scratch("a")), 0626);
  assert_int_equal(scratch_clear(), 1);
}

static void test_relative_and_long_names(void **state) {
  (void)state;
  char here[4096], name[256];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(scratch), 0);
  memset(name, 'n', 255);
  name[255] = 0;
  assert_int_equal(put_text("plain", "x"), CNN_OK);
  assert_int_equal(put_text(name, "long"), CNN_OK);
  assert_contents(name, "long");
  assert_int_equal(chdir(here), 0);
  assert_int_equal(scratch_clear(), 2);
}

static void test_links(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_scratch("sub"), 0755), 0);
  assert_int_equal(symlink("second", in_scratch("first")), 0);
  assert_int_equal(symlink("sub/real", in_scratch("second")), 0);
  assert_int_equal(put_text(in_scratch("first"), "through a link to nothing"), CNN_OK);
  assert_contents(in_scratch("sub/real"), "through a link to nothing");
  assert_int_equal(put_text(in_scratch("first"), "again"), CNN_OK);
  assert_contents(in_scratch("sub/real"), "again");
  struct stat info;
  assert_int_equal(lstat(in_scratch("first"), &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  assert_int_equal(lstat(in_scratch("second"), &info), 0);
  assert_true(S_ISLNK(info.st_mode));

  assert_int_equal(symlink(in_scratch("sub/real"), in_scratch("absolute")), 0);
  assert_int_equal(put_text(in_scratch("absolute"), "more"), CNN_OK);
  assert_contents(in_scratch("sub/real"), "more");

  assert_int_equal(symlink("loop", in_scratch("loop")), 0);
  assert_int_equal(put_text(in_scratch("loop"), "x"), CNN_E_IO);
  assert_why(strerror(ELOOP));
  assert_int_equal(unlink(in_scratch("sub/real")), 0);
  assert_int_equal(scratch_clear(), 5);
}

static void test_places_that_cannot_be_written(void **state) {
  (void)state;
  assert_int_equal(put_text(scratch, "x"), CNN_E_IO);
  assert_why("it is a folder");
  assert_int_equal(put_text(in_scratch("no/where"), "x"), CNN_E_IO);
  assert_why("no/' is not there");
  put_bytes(in_scratch("file"), "1", 1);
  assert_int_equal(put_text(in_scratch("file/below"), "x"), CNN_E_IO);
  assert_why(strerror(ENOTDIR));
  assert_int_equal(put_text("", "x"), CNN_E_IO);
  assert_int_equal(scratch_clear(), 1);
}

/* What a user without rights sees; as root by giving the rights up, in a process of its own. */
static void test_no_permission(void **state) {
  (void)state;
  put_bytes(in_scratch("protected"), "1", 1);
  assert_int_equal(mkdir(in_scratch("closed"), 0755), 0);
  put_bytes(in_scratch("closed/file"), "1", 1);
  assert_int_equal(chmod(scratch, 0777), 0);
  assert_int_equal(chmod(in_scratch("protected"), 0444), 0);
  assert_int_equal(chmod(in_scratch("closed/file"), 0666), 0);
  assert_int_equal(chmod(in_scratch("closed"), 0555), 0);
  pid_t child = fork();
  if (child == 0) {
    if (getuid() == 0 && setuid(65534) < 0) _exit(9);
    if (put_text(in_scratch("protected"), "x") != CNN_E_IO) _exit(1);
    if (!strstr(cnn_why(), "unchanged")) _exit(2);
    if (put_text(in_scratch("closed/file"), "x") != CNN_E_IO) _exit(3);
    if (put_text(in_scratch("closed/new"), "x") != CNN_E_IO) _exit(4);
    if (!strstr(cnn_why(), strerror(EACCES))) _exit(5);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_contents(in_scratch("protected"), "1");
  assert_contents(in_scratch("closed/file"), "1");
  assert_int_equal(chmod(in_scratch("closed"), 0755), 0);
  assert_int_equal(unlink(in_scratch("closed/file")), 0);
  assert_int_equal(scratch_clear(), 2);
}

static void test_the_callers_failure(void **state) {
  (void)state;
  assert_int_equal(file_replace(in_scratch("a"), write_and_fail, NULL), CNN_E_NUMERIC);
  assert_string_equal(cnn_why(), "a reason of the caller's");
  assert_int_equal(scratch_clear(), 0);
  put_bytes(in_scratch("a"), "old", 3);
  assert_int_equal(file_replace(in_scratch("a"), write_and_fail, NULL), CNN_E_NUMERIC);
  assert_contents(in_scratch("a"), "old");
  assert_int_equal(scratch_clear(), 1);
}

static void test_devices(void **state) {
  (void)state;
  struct stat info;
  assert_int_equal(file_replace("/dev/null", write_much, NULL), CNN_OK);
  assert_int_equal(file_replace("/dev/full", write_much, NULL), CNN_E_IO);
  assert_why("cannot write '/dev/full'");
  assert_why(strerror(ENOSPC));
  assert_int_equal(symlink("/dev/full", in_scratch("link")), 0);
  assert_int_equal(file_replace(in_scratch("link"), write_much, NULL), CNN_E_IO);
  assert_int_equal(stat("/dev/full", &info), 0);
  assert_true(S_ISCHR(info.st_mode));
  assert_int_equal(scratch_clear(), 1);
}

static void test_limit_on_file_sizes(void **state) {
  (void)state;
  put_bytes(in_scratch("a"), "old", 3);
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 100000;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  cnn_status replaced = file_replace(in_scratch("a"), write_much, NULL);
  cnn_status made = file_replace(in_scratch("b"), write_much, NULL);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  assert_int_equal(replaced, CNN_E_IO);
  assert_int_equal(made, CNN_E_IO);
  assert_why("ulimit -f");
  assert_contents(in_scratch("a"), "old");
  assert_int_equal(scratch_clear(), 1);
}

static void test_memory_out(void **state) {
  (void)state;
  assert_int_equal(symlink("target", in_scratch("link")), 0);
  put_bytes(in_scratch("target"), "old", 3);
  cnn_status status = CNN_E_MEMORY;
  long n = 0;
  for (; status != CNN_OK; n++) {
    assert_int_equal(status, CNN_E_MEMORY);
    assert_contents(in_scratch("target"), "old");
    mem_fail_after(n);
    status = put_text(in_scratch("link"), "new");
    mem_fail_after(-1);
  }
  assert_true(n > 3);
  assert_contents(in_scratch("target"), "new");
  assert_int_equal(scratch_clear(), 2);
}

/* Two processes write the same path over and over: it always holds what one of them wrote. */
static void test_two_writers(void **state) {
  (void)state;
  pid_t child[2];
  for (int i = 0; i < 2; i++) {
    child[i] = fork();
    if (child[i] != 0) continue;
    int failed = 0;
    for (int k = 0; k < 100; k++) failed |= put_text(in_scratch("a"), i ? "first first" : "second") != CNN_OK;
    _exit(failed);
  }
  int status;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(waitpid(child[i], &status, 0), child[i]);
    assert_int_equal(status, 0);
  }
  size_t count;
  char *bytes = get_bytes(in_scratch("a"), &count);
  assert_true(strcmp(bytes, "first first") == 0 || strcmp(bytes, "second") == 0);
  free(bytes);
  assert_int_equal(scratch_clear(), 1);
}

static void test_reading(void **state) {
  (void)state;
  struct file_reader reader;
  char bytes[16];
  assert_int_equal(file_open(in_scratch("none"), &reader), CNN_E_IO);
  assert_why(strerror(ENOENT));
  assert_int_equal(file_open(scratch, &reader), CNN_E_IO);
  assert_why(strerror(EISDIR));

  put_bytes(in_scratch("a"), "123456", 6);
  assert_int_equal(file_open(in_scratch("a"), &reader), CNN_OK);
  assert_int_equal(reader.size, 6);
  assert_int_equal(file_read(&reader, bytes, 4), CNN_OK);
  assert_memory_equal(bytes, "1234", 4);
  assert_int_equal(file_read_end(&reader), CNN_E_FORMAT);
  assert_why("goes on after byte 4");
  assert_int_equal(file_read(&reader, bytes, 3), CNN_E_FORMAT);
  assert_why("ends after 6 bytes");
  assert_int_equal(file_read_end(&reader), CNN_OK);
  file_close(&reader);
  assert_int_equal(scratch_clear(), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_new_and_replaced),
      cmocka_unit_test(test_relative_and_long_names),
      cmocka_unit_test(test_links),
      cmocka_unit_test(test_places_that_cannot_be_written),
      cmocka_unit_test(test_no_permission),
      cmocka_unit_test(test_the_callers_failure),
      cmocka_unit_test(test_devices),
      cmocka_unit_test(test_limit_on_file_sizes),
      cmocka_unit_test(test_memory_out),
      cmocka_unit_test(test_two_writers),
      cmocka_unit_test(test_reading),
  };
  return cmocka_run_group_tests_name("file", tests, scratch_make, scratch_remove);
}
