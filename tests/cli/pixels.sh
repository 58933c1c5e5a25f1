#!/usr/bin/env bash
# Augmentation, normalisation and several looks by the program: sheets, settings, wrong texts, models that need
# no option afterwards, the same bits for any number of threads and instruction set. Called by CTest:
# pixels.sh PROGRAM.
set -u
program=$(realpath "${1:?usage: pixels.sh PROGRAM}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CNN_ISA
passed=0 failed=0

check() { # check NAME CODE PATTERN ARGUMENT...: exit code, and what is printed (grep -E)
  local name=$1 want=$2 pattern=$3
  shift 3
  "$program" "$@" >out 2>&1
  local code=$?
  if ((code == want)) && grep -qE -- "$pattern" out; then
    passed=$((passed + 1)); echo "ok     $name"
  else
    failed=$((failed + 1)); echo "FAILED $name: exit code $code"; head -5 out | sed 's/^/       | /'
  fi
}

same() { # same NAME FILE FILE
  if cmp -s "$2" "$3"; then
    passed=$((passed + 1)); echo "ok     $1"
  else
    failed=$((failed + 1)); echo "FAILED $1: $2 and $3 differ"
  fi
}

# 60 images of 3x12x12 as CIFAR's, but smaller: IDX with 4 dimensions.
printf '\0\0\010\004\0\0\0\074\0\0\0\003\0\0\0\014\0\0\0\014' >images
for ((i = 0; i < 60; i++)); do printf "%0432d" $((i * 7919)) >>images; done
printf '\0\0\010\001\0\0\0\074' >labels
for ((i = 0; i < 60; i++)); do printf "\\00$((i % 3))" >>labels; done
printf 'input shape=3x12x12\nconv filters=4 kernel=3 init=he\nrelu\naffine units=3\nsoftmax\n' >whole.net
printf 'input shape=3x8x8\nconv filters=4 kernel=3 init=he\nrelu\naffine units=3\nsoftmax\n' >window.net
data=images,labels

all="shift=1 rotate=10 scale=0.1 shear=5 elastic=sigma:2,alpha:9 flip erase=3 color=0.1"
check "a sheet" 0 'sheet.png: 4 images of images,labels' data show $data --augment "$all" --rows 4
check "its kind" 0 '' data show $data --out plain.png --seed 3
[[ $(head -c 4 sheet.png | tail -c 3) == PNG ]] || failed=$((failed + 1))
cp sheet.png first.png
check "again" 0 '' data show $data --augment "$all" --rows 4
same "the same sheet" sheet.png first.png
check "windows" 0 '' data show $data --augment "crop=12" --image 3x8x8 --out windows.png
check "an unknown word" 1 "augment: unknown 'shft': did you mean 'shift'" data show $data --augment shft=1
check "no folder" 1 'no/sheet.png' data show $data --out no/sheet.png
check "no shape" 2 "'8x8' is not a shape" data show $data --image 8x8
check "no data" 2 'name is missing' data show
check "an unknown action" 2 "did you mean 'show'" data shov

train() { # train OUT NET ARGUMENT...
  local out=$1 net=$2
  shift 2
  check "train $out" 0 "^test accuracy" train "$net" --data $data --epochs 2 --batch 16 --out "$out.safetensors" "$@"
}
train one whole.net --augment "$all" --normalize channel --threads 1
if grep -q 'shear=5 elastic=sigma:2,alpha:9 flip erase=3 color=0.1' out; then
  passed=$((passed + 1)); echo "ok     settings are printed"
else
  failed=$((failed + 1)); echo "FAILED settings are not printed"
fi
for threads in 2 3 7; do
  train "threads-$threads" whole.net --augment "$all" --normalize channel --threads $threads
  same "$threads threads" one.safetensors "threads-$threads.safetensors"
done
for isa in scalar avx2 avx512 neon; do
  export CNN_ISA=$isa
  if "$program" eval one.safetensors --data $data >out 2>&1; then # it is on this machine
    train "isa-$isa" whole.net --augment "$all" --normalize channel
    same "$isa" one.safetensors "isa-$isa.safetensors"
  fi
  unset CNN_ISA
done
check "train refuses a wrong text" 2 '--augment: flip is given twice' train whole.net --data $data --augment "flip flip" --no-save
check "and a wrong normalisation" 2 "--normalize: 'mean' is not understood" train whole.net --data $data --normalize mean --no-save

check "the file that repeats a run" 0 '^augment = shift=1' train whole.net --data $data --epochs 2 --batch 16 --augment "$all" --normalize channel --print-config
cp out run.cfg
check "it does" 0 '^test accuracy' train --config run.cfg --out repeated.safetensors
same "the same model" one.safetensors repeated.safetensors

"$program" train window.net --data $data --augment "crop=12 flip" --normalize "mean-image scale=2" --epochs 1 --out crop.safetensors >trained 2>&1
check "a model knows its images" 0 "$(grep -o '^test accuracy.*' trained | sed 's/^test //; s/[()]/\\&/g')" eval crop.safetensors --data $data
check "ten-crop" 0 'accuracy' eval crop.safetensors --data $data --tta ten-crop
check "ten-crop of what is not larger" 1 'train it with --augment crop=SIZE' eval one.safetensors --data $data --tta ten-crop
check "looks" 0 'accuracy' eval one.safetensors --data $data --tta "flip shift=1"
check "unknown looks" 1 "tta: 'flop' is not known" eval one.safetensors --data $data --tta flop
check "predict" 0 'sheet.png: ' predict crop.safetensors sheet.png
check "a size" 2 "'12Q' is not a size" eval one.safetensors --data $data --memory 12Q
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
