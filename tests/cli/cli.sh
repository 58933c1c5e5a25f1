#!/usr/bin/env bash
# End-to-end tests of the program: usage errors and exit codes, training, evaluation and prediction on a
# small data set made here, interrupted runs, full disks, damaged files. Called by CTest: cli.sh PROGRAM.
# Prints a line a check and `N passed, N failed`; exit code 1 where one failed.
# shellcheck disable=SC2013,SC2016 # words without spaces; messages have backquotes
set -u
program=$(realpath "${1:?usage: cli.sh PROGRAM}")
tree=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export TMPDIR=$work/tmp
mkdir tmp
unset COLUMNS CNN_ISA ARGP_HELP_FMT
passed=0 failed=0 code=0

report() { # report NAME CONDITION-CODE
  if (($2 == 0)); then
    passed=$((passed + 1))
    echo "ok     $1"
  else
    failed=$((failed + 1))
    echo "FAILED $1"
    sed 's/^/       | /' out err 2>/dev/null | head -20
  fi
}

# run ARGUMENT...: the program's output in `out` and `err`, its exit code in $code.
run() {
  timeout 120 "$program" "$@" >out 2>err
  code=$?
}

# check NAME CODE OUT ERR ARGUMENT...: exit code, and patterns (grep -E) of standard output and standard
# error; '' wants nothing there, * takes anything.
check() {
  local name=$1 want=$2 out=$3 err=$4 bad=0
  shift 4
  run "$@"
  [[ $code == "$want" ]] || bad=1
  matches out "$out" || bad=1
  matches err "$err" || bad=1
  [[ $code == "$want" ]] || echo "       exit code $code, not $want"
  report "$name" "$bad"
}

matches() { # matches FILE PATTERN
  case $2 in
    '*') return 0 ;;
    '') [[ ! -s $1 ]] ;;
    *) grep -qE -- "$2" "$1" ;;
  esac
}

# One object or array of JSON, by jq where it is there.
is_json() {
  if command -v jq >/dev/null; then jq -e . "$1" >/dev/null 2>&1; else grep -qE '^[[{].*[]}]$' "$1"; fi
}

# ---- Files to work on ----

# idx FILE RANK NUMBER...: the header of an IDX file of bytes.
idx() {
  local file=$1 number
  printf '%b' "\\0000\\0000\\0010\\000$2" >"$file"
  shift 2
  for number in "$@"; do
    # shellcheck disable=SC2059
    printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $((number >> 24)) $((number >> 16 & 255)) $((number >> 8 & 255)) $((number & 255)))" >>"$file"
  done
}

# make_split NAME COUNT: images of 8x8, class 0 bright on the left, class 1 on the right, with noise.
make_split() {
  local name=$1 count=$2 i pixel label images='' labels='' value
  idx "$name-images" 3 "$count" 8 8
  idx "$name-labels" 1 "$count"
  for ((i = 0; i < count; i++)); do
    label=$((i * 7 / 3 % 2))
    labels+="\\00$label"
    for ((pixel = 0; pixel < 64; pixel++)); do
      value=$((RANDOM % 60))
      if ((pixel % 8 / 4 == label)); then value=$((value + 180)); fi
      images+="\\$((value >> 6))$((value >> 3 & 7))$((value & 7))"
    done
  done
  # shellcheck disable=SC2059
  printf "$images" >>"$name-images"
  # shellcheck disable=SC2059
  printf "$labels" >>"$name-labels"
}

RANDOM=7
make_split train 200
make_split test 50
data=train-images,train-labels,test-images,test-labels
cat >small.net <<'END'
input   shape=1x8x8
conv    filters=4 kernel=3 init=he
relu
maxpool kernel=2 stride=2
affine  units=2 init=he
softmax
END
# 8x8 grey: left.png and left2.png bright on the left, right.jpg on the right (made with libpng, libjpeg)
base64 -d >left.png <<<'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEUlEQVR42mN4BgRcQMBAGQMAb4QeAZU439wAAAAASUVORK5CYII='
base64 -d >right.png <<<'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEUlEQVR42mPgAoJnQMBAGQMAAYQeAdxR/poAAAAASUVORK5CYII='
base64 -d >right.jpg <<<'/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABf/EABgQAAIDAAAAAAAAAAAAAAAAAAAJR4XE/9oACAEBAAA/ACk4S7UbT//Z'

# ---- Usage ----

check 'no command' 2 '' '^cnn: COMMAND is missing$'
check 'unknown command names the nearest' 2 '' "unknown command 'trian': did you mean 'train'\?" trian
check 'unknown command far from all' 2 '' "^cnn: unknown command 'xyzzyplugh'$" xyzzyplugh
check 'help lists commands' 0 '^  gradcheck +[a-z]' '' --help
check 'help lists networks' 0 '^Networks:  .*simple-conv-net' '' help
check 'version' 0 '^cnn [0-9]+\.[0-9]+\.[0-9]+$' '' --version
check 'version of a command' 0 '^cnn [0-9]+\.[0-9]+\.[0-9]+$' '' train --version
check 'help of an unknown command' 2 '' "did you mean 'eval'" help evla
for command in train eval predict serve summary gradcheck layers data show report bench; do
  check "$command --help" 0 "^Usage: cnn $command " '' "$command" --help
  "$program" help "$command" >help.out 2>err
  cmp -s help.out out
  report "help $command is the same" $?
  missing=''
  for option in $(grep -oE '^ +--[a-z-]+' out | tr -d ' '); do
    # in the manual, hyphens of options are \-
    sed -n "/^\.SS cnn $command/,/^\.S[SH] [^c]/p" "$tree/man/cnn.1" |
      grep -qF -e "${option//-/\\-}" || missing+=" $option"
  done
  missing=$(tr ' ' '\n' <<<"$missing" | grep -vE '^(--usage|--help|--version)?$')
  [[ -z $missing ]]
  report "man page has every option of $command $missing" $?
done
check 'missing argument' 2 '' '^cnn train: NET is missing$' train
check 'missing --data' 2 '' '^cnn train: --data DATA is missing' train small.net
check 'one argument too many' 2 '' "'b' is one argument too many" train a b --data x
check 'unknown option names the nearest' 2 '' "unknown option '--epoks': did you mean '--epochs'\?" train small.net --epoks 3
check 'unknown short option' 2 '' "invalid option -- 'x'" train -x
check 'option without its value' 2 '' 'requires an argument' train small.net --epochs
check 'not a whole number' 2 '' "--epochs: 'ten' is not a whole number" train small.net --data x --epochs ten
check 'a number with a tail' 2 '' "--batch: '10x' is not a whole number" train small.net --data x --batch 10x
check 'a number out of range' 2 '' '--batch: 0 is out of range, which is 1 to' train small.net --data x --batch 0
check 'a number too large for 64 bits' 2 '' 'out of range' train small.net --data x --seed 99999999999999999999
check 'a rate that is no number' 2 '' "--lr: 'nan' is not a number" train small.net --data x --lr nan
check 'a negative rate' 2 '' '--lr: -1 is out of range' train small.net --data x --lr -1
check 'unknown optimiser names the nearest' 2 '' "'adma' is not known: did you mean 'adam'" train small.net --data x --optimizer adma
check 'unknown loss' 2 '' '--loss: .*one of cross-entropy, mse' train small.net --data x --loss zzzzzzz
check 'unknown split' 2 '' "did you mean 'test'" eval m --data x --split tets
check 'momentum without its optimiser' 2 '' '--momentum is for momentum and nesterov' train small.net --data x --momentum 0.5
check '--out and --log the same' 2 '' 'same file' train small.net --data x --out a --log a
check 'eval-train is neither' 2 '' "--eval-train: 'most' is not" train small.net --data x --eval-train most
check 'data: unknown action' 2 '' "did you mean 'verify'" data verfy mnist
check 'data: name is missing' 2 '' 'name is missing' data fetch
check 'data: an option of show for fetch' 2 '' '--augment is an option of show; fetch takes none' data fetch mnits --augment flip
check 'data: an option of show for verify' 2 '' '--seed is an option of show' data verify mnits --seed 1
check 'data: an option of show for list' 2 '' '--out is an option of show' data list --out x
check 'data: unknown set' 1 '' "^cnn: .*did you mean 'mnist'" data verify mnits
check 'data list' 0 '^mnist ' '' data list
check 'predict: no image' 2 '' 'is missing' predict m

# ---- Networks ----

check 'layers' 0 '^conv ' '' layers
check 'layers NAME' 0 '^  filters +\(required\)' '' layers conv
check 'layers: unknown' 1 '' "^cnn: .*did you mean 'conv'" layers cnov
check 'summary' 0 '^total .* [0-9]+$' '' summary simple-conv-net
check 'summary of a file' 0 '^conv1 +conv +4x6x6 +40 ' '' summary small.net
check 'summary --json' 0 '"name":"conv1","kind":"conv","output":\[30,24,24\],"parameters":780,"multiply_adds":432000' '' summary simple-conv-net --json
is_json out
report 'summary --json is JSON' $?
"$program" summary small.net --batch 100 --json >a && "$program" summary small.net --batch 200 --json >b
[[ $(sed 's/.*"total"://; s/}.*//' a) -lt $(sed 's/.*"total"://; s/}.*//' b) ]]
report 'a larger batch takes more memory' $?
printf 'input shape=1x4x4\nconv filters=2 kernel=1\nrelu from=input1\nconv filters=2 kernel=1\nadd from=conv1,conv2\n' >branch.net
check 'summary of branches' 0 '^add1 +add +2x4x4 +0 +0  from conv1, conv2$' '' summary branch.net
check 'summary of branches --json' 0 '"kind":"add","output":\[2,4,4\],"parameters":0,"multiply_adds":0,"inputs":\["conv1","conv2"\]' '' summary branch.net --json
check 'gradcheck of branches' 0 '^add1 +input +128 .* ok$' '' gradcheck branch.net
check 'layers of several inputs' 0 'takes 2 to 8 inputs' '' layers concat
printf 'input shape=1x4x4\naffine units=1\nsoftmax\n' >flat.net # a gradient of zeros, rightly
check 'gradcheck of what has no slope' 0 '*' '' gradcheck flat.net
"$program" summary branch.net --text >again.net && "$program" summary again.net >a && "$program" summary branch.net >b && cmp -s a b
report 'summary --text is the same network' $?
check 'summary: --json and --text' 2 '' 'exclude each other' summary small.net --json --text
check 'unknown network names the nearest' 1 '' "^cnn: .*simple-conv-net" summary simple-conv-ent
check 'missing .net file' 1 '' "^cnn: .*'?nothere.net'?.*" summary nothere.net
printf 'input shape=1x8x8\nconv filtres=3 kernel=3\n' >bad.net
check 'unknown key names line and nearest' 1 '' '^cnn: bad.net:2: .*filters' summary bad.net
printf 'input shape=1x8x8\nmaxpool kernel=3 stride=2\n' >bad.net
check 'shapes that do not fit show the arithmetic' 1 '' '^cnn: bad.net:2: maxpool.*\(8 - 3\) / 2' summary bad.net
printf '\377\376\0\1\2\3\4\5\6\7' >bad.net
check 'a binary .net file' 1 '' '^cnn: ' summary bad.net
: >bad.net
check 'an empty .net file' 1 '' '^cnn: ' summary bad.net
check 'a folder for a .net file' 1 '' '^cnn: ' summary ./tmp
check 'gradcheck' 0 '^conv1 +weight .* ok$' '' gradcheck small.net --seed 3

# ---- Training, evaluation, prediction ----

check 'train' 0 '^test accuracy [0-9.]+ % \([0-9]+/50\)  loss [0-9.]+$' '' \
  train small.net --data $data --epochs 4 --batch 20 --lr 0.01 --out a.safetensors --log a.jsonl --threads 1
[[ $(grep -cE '^epoch [1-4]/4  loss [0-9.]+  accuracy [0-9.]+ %' out) == 4 ]] && ! grep -q $'\r' out
report 'train, piped: a plain line an epoch' $?
grep -qE '^training accuracy [0-9.]+ % \([0-9]+/200\)' out && grep -qE '^model +a.safetensors \([0-9]+ bytes' out
report 'train: training accuracy, model and its size' $?
[[ $(wc -l <a.jsonl) == 5 ]] && grep -q '^{"version":.*"command":\["cnn","train","small.net","--data"' a.jsonl &&
  [[ $(grep -cE '^\{"epoch":[1-4],"steps":(10|20|30|40),"loss":.*"test_accuracy":[01].*"images_per_second":[0-9.]+\}$' a.jsonl) == 4 ]]
report 'train --log: settings, then an object an epoch' $?
is_json a.jsonl
report 'train --log is JSON' $?
[[ -z $(ls tmp) && -z $(find . -name 'a.safetensors?*') ]]
report 'train leaves no temporary files' $?
run train small.net --data $data --epochs 4 --batch 20 --lr 0.01 --out b.safetensors --threads 2
cmp -s a.safetensors b.safetensors
report 'train: the same bytes from 1 and 2 threads' $?
run train small.net --data $data --epochs 4 --batch 20 --lr 0.01 --out b.safetensors --seed 2
cmp -s a.safetensors b.safetensors
report 'train: other bytes from another seed' $((! $?))
check 'train: a default name' 0 '^model +small.safetensors ' '' train small.net --data $data --epochs 1
cp small.safetensors kept
check 'train: the next free name' 0 '^model +small-2.safetensors ' '' train small.net --data $data --epochs 1
cmp -s small.safetensors kept
report 'train: the earlier model stands' $?
rm small.safetensors small-2.safetensors kept
check 'train --no-save' 0 '^model +not saved' '' train small.net --data $data --epochs 1 --no-save
[[ ! -e small.safetensors ]]
report 'train --no-save saves nothing' $?
check 'train --limit --eval-train' 0 '^epoch 1/1 .* train [0-9.]+ %.*test' '' train small.net --data $data --epochs 1 --limit 30 --eval-train 10 --no-save
LC_ALL=C check 'train --plot, piped: once, in the end' 0 '^ *loss, log  o training  x test *accuracy, %  o training' '' train small.net --data $data --epochs 3 --plot --no-save
[[ $(grep -c '^ *epoch 1 .* 3 *epoch 1 .* 3$' out) == 1 ]] && ! grep -q $'\033' out && ! grep -qP '[^\x00-\x7f]' out
report 'train --plot: ASCII without colours' $?
check 'train --eval-train none' 0 '^epoch 1/1 .*%  test' '' train small.net --data $data --epochs 1 --eval-train none --no-save
! grep -q '^training accuracy' out
report 'train --eval-train none: not in the end either' $?
check 'train --limit counts' 0 '^training accuracy .*/30\)' '' train small.net --data $data --epochs 1 --limit 30 --no-save
check 'train: every option' 0 '^test accuracy' '' train small.net --data=$data --epochs=1 --batch=7 --optimizer=nesterov \
  --lr=0.01 --momentum=0.8 --seed=5 --threads=2 --loss=mse --group=3 --eval-train=all --limit=60 --out=c.safetensors
check 'eval' 0 '^accuracy [0-9.]+ % \([0-9]+/50\)  loss [0-9.]+$' '' eval a.safetensors --data $data
[[ $(sed 's/.*(\([0-9]*\).*/\1/' out) -ge 45 ]]
report 'eval: it has learnt' $?
check 'eval --split train' 0 '^accuracy .*/200\)' '' eval a.safetensors --data $data --split train --batch 33 --threads 2
check 'eval --limit' 0 '^accuracy .*/20\)' '' eval a.safetensors --data $data --limit 20
check 'eval --json' 0 '^\{"correct":[0-9]+,"total":50,"accuracy":[0-9.]+,"loss":[0-9.e-]+\}$' '' eval a.safetensors --data $data --json
check 'predict' 0 '^left.png: 0 0\.[5-9][0-9]*, 1 0\.' '' predict a.safetensors left.png
check 'predict a JPEG' 0 '^right.jpg: 1 (0\.[5-9]|1\.0)' '' predict a.safetensors right.jpg --top 1
check 'predict --invert' 0 '^left.png: 1 ' '' predict a.safetensors left.png --invert
check 'predict: one of three fails' 1 '^right.png: 1 ' '^cnn: .*nothere.png' predict a.safetensors left.png nothere.png right.png
check 'predict: not an image' 1 '' '^cnn: .*small.net' predict a.safetensors small.net
check 'predict --json' 1 '^\[\{"path":"left.png","classes":\[\{"class":"0","probability":0.[0-9]+\},.*\]\},\{"path":"x.png","error":".*"\}\]$' '*' \
  predict a.safetensors left.png x.png --json
is_json out
report 'predict --json is JSON' $?
check 'summary of a model' 0 '^conv1 ' '' summary a.safetensors
cp a.safetensors model.bin
check 'summary of a model by its contents' 0 '^conv1 ' '' summary ./model.bin
check 'bench' 0 '^[0-9]+ images/s  \[[0-9]+ \.\. [0-9]+\]' '' bench small.net --batch 10 --seconds 0.01 --repeat 2 --threads 1
check 'bench --train --json' 0 '"mode":"training".*"share_of_peak":[0-9.e-]+\}' '' bench small.net --batch 10 --seconds 0.01 --train --json
is_json out && [[ -z $(ls tmp) ]]
report 'bench: JSON, no temporary files' $?
mkdir -p shapes/left shapes/right
for i in 1 2 3 4 5; do cp left.png shapes/left/$i.png && cp right.jpg shapes/right/$i.jpg; done
check 'train on a folder' 0 '^data .*shapes.* in 2 classes' '' train small.net --data shapes --epochs 2 --batch 2 --out shapes.safetensors
check 'predict with names of classes' 0 '^left.png: (left|right) ' '' predict shapes.safetensors left.png
check 'eval warns of other classes' 0 '^accuracy' "^cnn: warning: class 0 is 'left' to the model and '0'" eval shapes.safetensors --data $data

# ---- Files that are not what they should be ----

check 'missing model' 1 '' '^cnn: .*nothere.safetensors' eval nothere.safetensors --data $data
check 'missing data' 1 '' '^cnn: ' eval a.safetensors --data nothere
check 'missing IDX file' 1 '' '^cnn: .*nothere-labels' eval a.safetensors --data test-images,nothere-labels
check 'a foreign file as a model' 1 '' '^cnn: .*left.png' eval left.png --data $data
check 'a folder as a model' 1 '' '^cnn: ' eval ./tmp --data $data
: >empty.safetensors
check 'an empty model' 1 '' '^cnn: .*empty.safetensors' eval empty.safetensors --data $data
size=$(wc -c <a.safetensors)
bad=0
for length in 1 7 8 9 100 $((size / 2)) $((size - 1)); do
  head -c "$length" a.safetensors >cut.safetensors
  run eval cut.safetensors --data $data
  [[ $code == 1 ]] && matches err '^cnn: ' && matches out '' || bad=1
done
report 'truncated models are refused' $bad
{ cat a.safetensors && printf x; } >long.safetensors
check 'a model with a byte too many' 1 '' '^cnn: .*long.safetensors' eval long.safetensors --data $data
bad=0
for offset in 0 3 7 8 10 20 40 80 160; do
  cp a.safetensors damaged.safetensors
  printf '\377' | dd of=damaged.safetensors bs=1 seek=$offset conv=notrunc 2>/dev/null
  run eval damaged.safetensors --data $data
  [[ $code == 0 || $code == 1 ]] || bad=1
  [[ $code == 0 ]] || matches err '^cnn: ' || bad=1
done
report 'damaged headers end in 0 or 1' $bad
head -c 500 test-images >cut-images
check 'truncated images' 1 '' '^cnn: .*cut-images' eval a.safetensors --data cut-images,test-labels
check 'labels and images exchanged' 1 '' '^cnn: ' eval a.safetensors --data test-labels,test-images
check 'data of another size' 1 '' '^cnn: .*8x8' train simple-conv-net --data $data --no-save
printf 'input shape=1x8x8\naffine units=1\nsoftmax\n' >one.net
check 'a label out of range' 1 '' '^cnn: ' train one.net --data $data --no-save

# ---- Places that cannot be written ----

cp a.safetensors kept
check '--out: a folder' 1 '' "^cnn: --out: 'tmp' is a folder" train small.net --data $data --out tmp
check '--out: no such folder' 1 '' "^cnn: --out: the folder 'no/' is not there; make it first" train small.net --data $data --out no/x.safetensors
check '--out: a device' 1 '' 'is not a regular file' train small.net --data $data --out /dev/null
check '--out: empty' 1 '' 'name is empty' train small.net --data $data --out ''
check '--out: too long a name' 1 '' '[Nn]ame too long|longer' train small.net --data $data --out "$(printf '%0300d' 0)"
check '--log: no such folder' 1 '' "^cnn: --log: 'no/x' cannot be written" train small.net --data $data --no-save --log no/x
check 'a failure leaves --out alone' 1 '' '^cnn: ' train small.net --data nothere --out a.safetensors
cmp -s a.safetensors kept
report '--out is as it was' $?
echo old >old.jsonl
check 'a failure leaves --log alone' 1 '' '^cnn: ' train small.net --data nothere --no-save --log old.jsonl
[[ $(cat old.jsonl) == old ]]
report '--log is as it was' $?
mkdir -p idx
cp test-images idx/images
cp test-labels idx/labels
cp small.net own.net
printf 'network = own.net\ndata = %s\n' $data >own.conf
"$program" train own.net --data $data --no-save --log own.jsonl >out
cp a.safetensors own.safetensors
cat own.net own.conf own.jsonl own.safetensors idx/labels >before
for words in 'train own.net --data DATA --out own.net' 'train own.net --data DATA --no-save --log ./own.net' \
  'train --config own.conf --out own.conf' 'train --config own.conf --no-save --log own.conf' \
  'train own.net --data idx/images,idx/labels --out idx/labels' \
  'train own.net --data test-images,test-labels,idx/images,idx/labels --out ./idx/labels' 'train own.net --data DATA --out new --log ./new' \
  'report own.safetensors --data DATA --out ./own.safetensors' \
  'report own.safetensors --data DATA --log own.jsonl --out tmp/../own.jsonl' \
  'show filters own.safetensors --out own.safetensors' 'show net own.net --out own.net'; do
  # shellcheck disable=SC2086
  check "what is read is not replaced: $words" 2 '' 'name the same file|is read and would be replaced' ${words//DATA/$data}
done
cat own.net own.conf own.jsonl own.safetensors idx/labels | cmp -s - before
report 'and is as it was' $?
check '--out may have the name of a network' 0 '*' '' train small.net --data $data --epochs 1 --out lenet
if [[ -w /dev/full ]]; then
  for arguments in --help --version 'train --help' layers 'summary simple-conv-net' "eval a.safetensors --data $data"; do
    # shellcheck disable=SC2086
    "$program" $arguments >/dev/full 2>err
    code=$?
    # text longer than a buffer fails before its end, and then the reason is no longer known
    [[ $code == 1 ]] && grep -qE '^cnn: cannot write standard output: (No space left|an earlier write failed)' err
    report "full disk: $arguments" $?
  done
  timeout 60 "$program" train small.net --data $data --epochs 2 --out d.safetensors >/dev/full 2>err
  code=$?
  [[ $code == 1 && -s d.safetensors ]] && grep -q 'cannot write standard output' err
  report 'full disk: train saves nevertheless' $?
  check 'full disk: the log' 1 '^test accuracy' "cannot write the log '/dev/full': No space left" \
    train small.net --data $data --epochs 2 --out e.safetensors --log /dev/full
  [[ -s e.safetensors ]]
  report 'full disk: the log fails, the model is saved' $?
fi
"$program" layers >&- 2>err
code=$?
[[ $code == 1 ]] && grep -q '^cnn: cannot write standard output' err
report 'closed standard output' $?
timeout 60 "$program" train small.net --data $data --epochs 30 --out f.safetensors 2>err | head -1 >/dev/null
[[ -s f.safetensors ]]
report 'a pipe that closes does not lose the run' $?

# ---- Interrupts ----

# interrupt SIGNAL NAME: starts a long run, sends the signal in its third epoch or later.
interrupt() {
  local signal=$1 name=$2 pid i
  rm -f "$name.safetensors"
  "$program" train small.net --data $data --epochs 1000000 --out "$name.safetensors" --log "$name.jsonl" >out 2>err &
  pid=$!
  for ((i = 0; i < 300; i++)); do
    [[ $(grep -c '^epoch' out) -lt 3 ]] || break
    sleep 0.1
  done
  kill -"$signal" "$pid"
  for ((i = 0; i < 300; i++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
  wait "$pid"
  code=$?
}
for signal in INT TERM HUP; do
  interrupt $signal stopped
  [[ $code == 1 ]] && grep -qE "^cnn: stopped on request in epoch [0-9]+ after step [0-9]+; the model is in 'stopped.safetensors'$" err
  report "SIG$signal stops with exit code 1" $?
  check "SIG$signal: the model can be used" 0 '^accuracy' '' eval stopped.safetensors --data $data
  is_json stopped.jsonl && [[ $(tail -c 1 stopped.jsonl | wc -l) == 1 && $(wc -l <stopped.jsonl) -ge 4 ]]
  report "SIG$signal: the log is whole" $?
done

# ---- A terminal ----

if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
  script -qec "stty cols 60; $program train small.net --data $data --epochs 200 --no-save" /dev/null </dev/null >out 2>err
  grep -q $'\repoch [0-9]*/200  .*ETA' out
  report 'terminal: a live line' $?
  [[ $(tr '\r' '\n' <out | grep -a ETA | awk 'length > 59' | wc -l) == 0 ]]
  report 'terminal: the live line fits the window' $?
  [[ $(tr -d '\r' <out | grep -acE 'epoch +[0-9]+/200 .*test') == 200 ]]
  report 'terminal: a line stays for each epoch' $?
fi

# ---- Completion ----

# completions WORD...: what bash would offer for the last word.
completions() {
  # shellcheck source=/dev/null
  bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cnn 2>/dev/null; echo " ${COMPREPLY[*]} "' \
    "$tree/completions/cnn.bash" "$program" "$@" >out
}
offers() { # offers NAME WANTED WORD...
  local name=$1 wanted=$2
  shift 2
  completions "$@"
  grep -qF -e " $wanted " out
  report "completion: $name" $?
}
offers commands gradcheck ''
offers networks simple-conv-net train ''
offers '.net files' small.net train s
offers options --eval-train train --e
offers 'choices of an option' nesterov train --optimizer ''
offers 'choices after =' adagrad train --optimizer = ad
offers 'data sets' fashion-mnist eval a.safetensors --data ''
offers models a.safetensors eval ''
offers 'models to report on' a.safetensors report --data mnist -o page.html ''
offers images left.png predict a.safetensors ''
offers layers conv layers c
offers 'data sets to fetch' mnist data fetch ''
offers 'what to show' confusion show c
offers 'networks to show' lenet5 show net l
for command in train eval predict serve summary gradcheck layers data show report bench; do
  completions "$command" --
  cp out offered
  run "$command" --help
  bad=0
  for option in $(grep -oE -- ' --[a-z-]+' out); do grep -qF -e " $option " offered || bad=1; done
  report "completion: every option of $command" $bad
done

echo "$passed passed, $failed failed"
((failed == 0))
