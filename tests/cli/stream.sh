#!/usr/bin/env bash
# A folder of more images than memory may hold: it trains within a bound on memory that the same images, held
# in memory, break; the model is the same; a broken file is named. Called by CTest: stream.sh PROGRAM.
# CNN_TEST_LONG=1: 20,000 images in 200 MB beyond what is planned; else 4,000 in 40 MB. Needs perl; else skipped.
set -u
program=$(realpath "${1:?usage: stream.sh PROGRAM}")
command -v perl >/dev/null || { echo "perl is not there: skipped"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0
images=4000 beyond=40
[[ -z ${CNN_TEST_LONG:-} ]] || images=20000 beyond=200

check() { # check NAME CONDITION-CODE
  if (($2 == 0)); then
    passed=$((passed + 1)); echo "ok     $1"
  else
    failed=$((failed + 1)); echo "FAILED $1"; tail -5 out 2>/dev/null | sed 's/^/       | /'
  fi
}

# Pictures of 64x64 noise in colours are made by `cnn data show` from grey noise, one a class, and have many
# names each: to a reader of files these are as many files.
noise() { # noise FILE: one IDX image of 64x64, and another
  printf '\0\0\010\003\0\0\0\002\0\0\0\100\0\0\0\100' >"$1"
  head -c 8192 /dev/urandom >>"$1"
}
printf '\0\0\010\001\0\0\0\002\0\001' >labels
mkdir pictures
for class in 0 1 2 3 4 5 6 7 8 9; do
  noise images
  mkdir "pictures/$class"
  "$program" data show images,labels --rows 1 --columns 1 --zoom 1 --augment "erase=$((4 + 3 * class))" \
    --out "pictures/$class/0.png" >out 2>&1 || check "a picture" 1
done
perl -e 'my ($count) = @ARGV; for my $i (10 .. $count - 1) { my $class = $i % 10;
  link("pictures/$class/0.png", "pictures/$class/$i.png") or die "link: $!" }' "$images" || exit 1
cat >small.net <<'END'
input shape=3x64x64
conv filters=8 kernel=5 stride=2 pad=1 round=floor init=he
relu
maxpool kernel=4 stride=4 round=floor
affine units=10 init=xavier
softmax
END

# train OUT MEMORY LIMIT: LIMIT in MB for all data of the process, 0: none.
train() {
  (
    [[ $3 == 0 ]] || ulimit -d $(($3 * 1024))
    exec timeout 600 "$program" train small.net --data pictures --epochs 1 --threads 2 --eval-train none \
      --memory "$2" --out "$1"
  ) >out 2>&1
}

train streamed.safetensors 5M 0
check "$images images stream" $?
grep -q 'whose images stream from disk' out
check "it says so" $?
planned=$(sed -n 's/^memory  *\([0-9.]*\) MB planned.*/\1/p' out)
bound=$((${planned%.*} + 1 + beyond))
if ! nm -D "$program" 2>/dev/null | grep -q asan_init && ! ldd "$program" | grep -q asan; then
  train bounded.safetensors 5M $bound
  check "within $bound MB, of which $planned are planned" $?
  ! train held.safetensors 100G $bound
  check "held in memory they are more than that" $?
fi
train held.safetensors 100G 0
check "without a bound they are held" $?
cmp -s streamed.safetensors held.safetensors
check "the same model" $?
rm pictures/7/2017.png
echo damaged >pictures/7/2017.png
train broken.safetensors 5M 0
(($? == 1))
check "a broken file ends it" $?
grep -q "pictures/7/2017.png' is neither PNG nor JPEG" out
check "its name is told" $?
grep -q "the model after epoch 1, step [0-9]* is in 'broken.safetensors'" out && [[ -s broken.safetensors ]]
check "the steps before it are saved" $?
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
