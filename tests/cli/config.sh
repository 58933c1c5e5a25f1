#!/usr/bin/env bash
# Settings of training by file: what `cnn train --print-config` prints repeats the run byte for byte, options win
# over the file, and what is wrong in it is said with file and line. Also what the program says of validation,
# stopping early and averages. Called by CTest: config.sh PROGRAM.
set -u
program=$(realpath "${1:?usage: config.sh PROGRAM}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CNN_ISA ARGP_HELP_FMT
passed=0 failed=0

report() { # report NAME CONDITION-CODE
  if (($2 == 0)); then
    passed=$((passed + 1)); echo "ok     $1"
  else
    failed=$((failed + 1)); echo "FAILED $1"; sed 's/^/       | /' out err 2>/dev/null | head -20
  fi
}

# check NAME CODE PATTERN ARGUMENT...: exit code, and a pattern of what is printed on either side.
check() {
  local name=$1 want=$2 pattern=$3 code
  shift 3
  timeout 60 "$program" "$@" >out 2>err
  code=$?
  [[ $code == "$want" ]] && grep -qE -- "$pattern" out err
  report "$name" $?
}

# 60 images of 4x4 in 3 classes, each with one bright row, and noise.
RANDOM=5
images='\0\0\010\03\0\0\0\074\0\0\0\04\0\0\0\04' labels='\0\0\010\01\0\0\0\074'
for ((i = 0; i < 60; i++)); do
  labels+="\\0$((i % 3))"
  for ((p = 0; p < 16; p++)); do images+="\\0$(printf '%03o' $((RANDOM % 120 + (p / 4 == i % 3 ? 100 : 0))))"; done
done
printf '%b' "$images" >'some images'
printf '%b' "$labels" >labels
data='some images,labels,some images,labels'
printf 'input shape=1x4x4\naffine units=8 init=he lr=0.5\nrelu\naffine units=3 init=he decay=0\nsoftmax\n' >small.net

train() { # train NAME OPTION...
  local name=$1
  shift
  "$program" train "$@" --threads 1 --out "$name.safetensors" >out 2>err
}

# ---- The printed file repeats the run ----

run=0
while read -r options; do
  run=$((run + 1))
  eval "options=($options)"
  train a small.net --data "$data" --epochs 6 --batch 7 "${options[@]}" &&
    "$program" train small.net --data "$data" --epochs 6 --batch 7 "${options[@]}" --print-config >"$run.conf" 2>err &&
    train b --config "$run.conf" && cmp a.safetensors b.safetensors &&
    "$program" train --config "$run.conf" --print-config >again.conf && cmp again.conf "$run.conf"
  report "repeated from its file: ${options[*]}" $?
done <<'END'
--seed 3
--optimizer momentum --momentum 0.8 --weight-decay 0.001 --decay-biases --schedule "step every=2 factor=0.3"
--optimizer adamw --schedule "multistep at=2,4.5" --warmup 0.7 --clip-norm 0.3 --label-smoothing 0.1
--schedule one-cycle --clip-value 0.01 --ema 0.9 --group 3 --lr 0.123456789012345
--schedule "plateau patience=0" --validation 0.2 --patience 2 --measure error --eval-train none
--optimizer nesterov --schedule "exponential factor=0.9" --validation 9 --limit 50 --loss mse --eval-train 7
END

"$program" train --config 5.conf --log log.jsonl --out l.safetensors >out 2>err
printf '%b' "$(head -1 log.jsonl | sed 's/.*"config":"\(.*\)"}$/\1/')" >logged.conf
cmp logged.conf 5.conf
report 'the log holds the file' $?
[[ $(grep -c '"epoch":.*"validation_loss":.*"lr":' log.jsonl) -gt 1 ]]
report 'the log has rates and validation' $?
manual=$(sed -n '/\\-\\-log/,/^\.PP/p' "$(dirname "$(realpath "$0")")/../../man/cnn.1") missing=
for key in $(sed -n 2p log.jsonl | grep -o '"[a-z_]*":' | tr -d '":'); do
  grep -qw -- "$key" <<<"$manual" || missing+=" $key"
done
[[ -z $missing ]]
report "the manual has every key of the log:$missing" $?

# ---- The command line wins, before and after ----

for order in 1 2; do
  if ((order == 1)); then options=(--config 1.conf --seed 9); else options=(--seed 9 --config 1.conf); fi
  "$program" train "${options[@]}" --print-config >out 2>err && grep -q '^seed = 9$' out && grep -q '^batch = 7$' out
  report "an option wins over the file, order $order" $?
done
# says NAME PATTERN OPTION...: whether the settings printed have the pattern
says() {
  local name=$1 pattern=$2
  shift 2
  timeout 60 "$program" train "$@" --no-save >out 2>err && sed 's/^ *//' out | tr '\n' ' ' | grep -qE -- "$pattern"
  report "$name" $?
}
printf 'network = small.net\ndata = %s\nepochs = 1\n' "$data" >base.conf
{ cat base.conf; printf 'optimizer = momentum\nmomentum = 0.8\nlr = 0.02\n'; } >momentum.conf
says "another optimiser does without the file's momentum" 'settings *optimizer adam, lr 0.02' --config momentum.conf --optimizer adam
says 'and one that has it keeps it' 'optimizer nesterov, lr 0.02, momentum 0.8' --config momentum.conf --optimizer nesterov
check 'momentum and optimizer both in the file' 2 '--momentum is for momentum and nesterov' train --no-save \
  --config <(cat base.conf; printf 'optimizer = adam\nmomentum = 0.8\n')
check 'momentum given, for an optimizer of the file' 2 '--momentum is for momentum and nesterov' train --no-save \
  --config <(cat base.conf; printf 'optimizer = adam\n') --momentum 0.8
for options in '--config nosave.conf --out saved.safetensors' '--out saved.safetensors --config nosave.conf'; do
  { cat base.conf; echo 'no-save = yes'; } >nosave.conf
  rm -f saved.safetensors
  check "--out wins over the file's no-save: $options" 0 '^model *saved.safetensors' train $options
  [[ -e saved.safetensors ]]
  report "and saves: $options" $?
done
{ cat base.conf; echo 'out = unsaved.safetensors'; } >out.conf
check "--no-save wins over the file's out" 0 '^model *not saved' train --config out.conf --no-save
[[ ! -e unsaved.safetensors ]]
report 'and saves nothing' $?
check 'out and no-save both in the file' 2 '--out and --no-save exclude' train --config <(cat out.conf; echo 'no-save = yes')
check 'out and no-save both given' 2 '--out and --no-save exclude' train --config base.conf --out x.safetensors --no-save
{ cat base.conf; echo 'clip-norm = 3'; } >clip.conf
says "--clip-value wins over the file's clip-norm" 'lr 0.001,.* clip_value 0.5' --config clip.conf --clip-value 0.5
! grep -q clip_norm out
report 'which is gone' $?
for optimizer in adam sgd; do
  "$program" train small.net --data "$data" --epochs 1 --optimizer $optimizer --print-config >usual.conf 2>err
  says "what $optimizer chose does not bind adamw" 'optimizer adamw, lr 0.001, .*weight_decay 0.01' --config usual.conf --optimizer adamw
done
says 'what the batch chose does not bind another' 'batch 2, group 1,' --config 1.conf --batch 2
check 'a network given wins over that of the file' 1 "no-such-net" train no-such-net --config 1.conf --no-save
printf '  # a comment\n\n epochs=2\r\ndata =  %s \nnetwork = small.net\n' "$data" >loose.conf
check 'blanks, comments, CR' 0 '^epoch 2/2 ' train --config loose.conf --no-save

# ---- What is wrong is said where ----

wrong() { # wrong NAME PATTERN LINE
  printf '# line 1\nepochs = 2\n%b\n' "$3" >wrong.conf
  check "$1" 1 "^cnn: wrong.conf:3: $2" train small.net --data "$data" --no-save --config wrong.conf
}
wrong 'an unknown key' "epoks: unknown key; did you mean 'epochs'" 'epoks = 3'
wrong 'a key far from all' 'xyzzyplugh: unknown key; `cnn train --help' 'xyzzyplugh = 3'
wrong 'a number that is none' "batch: 'ten' is not a whole number" 'batch = ten'
wrong 'the end of a range' 'ema: 1 is out of range' 'ema = 1'
wrong 'what the library finds wrong' 'schedule: cosine: end=2 is out of range|schedule: schedule cosine: end=2' 'schedule = cosine end=2'
wrong 'a comment behind a value' "lr: '0.1 # high': a comment stands on a line of its own" 'lr = 0.1 # high'
wrong 'no key' '3: there is no key before' '= 3'
wrong 'out of range' 'ema: 7 is out of range, which is 0 to less than 1' 'ema = 7'
wrong 'an unknown choice' "optimizer: 'adma' is not known: did you mean 'adam'" 'optimizer = adma'
wrong 'a switch that is neither' "decay-biases: 'maybe' is not yes or no" 'decay-biases = maybe'
wrong 'no equals sign' 'batch 7: not of the form' 'batch 7'
wrong 'no value' 'batch: there is no value' 'batch ='
wrong 'given twice' 'epochs: given twice' 'epochs = 3'
wrong 'a file in a file' 'config: a file cannot name another' 'config = x'
check 'no such file' 1 "--config: 'nothere' cannot be read: No such file" train --config nothere
check 'a folder' 1 "--config: '.' cannot be read" train --config .
check 'not text' 1 'is not a file of lines' train --config 'some images'
check 'twice' 2 '--config is given twice' train --config 1.conf --config 1.conf
printf 'epochs = 1\n' >short.conf
check 'no network anywhere' 2 'NET is missing' train --config short.conf
check 'no data anywhere' 2 '--data DATA is missing' train small.net --config short.conf
check 'schedule: unknown' 2 "^cnn train: --schedule: unknown schedule 'cosin'; did you mean 'cosine'" train small.net --data "$data" --no-save --schedule cosin
check 'patience without validation' 2 '^cnn train: --patience: patience needs images to validate on' train small.net --data "$data" --no-save --patience 3
touch before
check '--print-config trains and saves nothing' 0 '^network = small.net$' train small.net --data "$data" --print-config --out new.safetensors --log new.jsonl
[[ ! -e new.safetensors && ! -e new.jsonl ]]
report '--print-config leaves no files' $?

# ---- What is said of validation ----

check 'validation is said' 0 '^held back 12 of the training images' train small.net --data "$data" --validation 0.2 --epochs 1 --no-save
grep -qE '^epoch 1/1 .* validation [0-9.]+ %' out && grep -qE '^validation accuracy .*/12\)' out && grep -qE '^training accuracy .*/48\)' out
report 'validation: a line an epoch, accuracy at the end' $?
check 'the best epoch is said' 0 '^best      epoch [0-9]+, by validation error: accuracy [0-9.]+ %, loss [0-9.]+; stopped after 1 without' \
  train small.net --data "$data" --validation 15 --patience 1 --measure error --lr 1 --optimizer sgd --epochs 500 --out best.safetensors
best=$(sed -n 's/^best .*loss \([0-9.]*\);.*/\1/p' out)
[[ $(sed -n 's/^validation accuracy.*loss \([0-9.]*\)$/\1/p' out) == "$best" ]]
report 'the model saved is that of the best epoch' $?
check 'a loss that is no number ends a run' 1 'not finite|nan|inf' train small.net --data "$data" --validation 15 --patience 20 \
  --optimizer sgd --weight-decay 1000 --lr 0.01 --batch 7 --epochs 100 --out diverged.safetensors
grep -q "the model of epoch [0-9]* is in 'diverged.safetensors'" err && "$program" eval diverged.safetensors --data "$data" >out 2>err
report 'but keeps its best epoch' $?
check 'the average is said' 0 '^average   of the weights over the steps, ema 0.9$' train small.net --data "$data" --ema 0.9 --epochs 1 --no-save

echo "$passed passed, $failed failed"
((failed == 0))
