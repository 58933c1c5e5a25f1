#!/usr/bin/env bash
# cnn show, on data whose answers are known: images of three classes, each with one bright row, that a small model
# tells apart; a test split with labels that are wrong on purpose. Called by CTest: show.sh PROGRAM. Prints a line a
# check and `N passed, N failed`; exit code 1 where one failed.
set -u
program=$(realpath "${1:?usage: show.sh PROGRAM}")
command -v jq >/dev/null || { echo 'skipped: jq is not here'; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

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

check() { # check NAME CODE PATTERN ARGUMENT...: exit code, and a pattern of standard output and error together
  local name=$1 want=$2 pattern=$3 code
  shift 3
  timeout 120 "$program" "$@" >out 2>err
  code=$?
  [[ $code == "$want" ]] && cat out err | grep -qE -- "$pattern"
  report "$name" $?
}

is() { # is NAME WANTED FILTER: what jq makes of the output
  local got
  got=$(jq -c "$3" out)
  [[ $got == "$2" ]] || echo "       $got, not $2"
  [[ $got == "$2" ]]
  report "$1" $?
}

# ---- Data: 6x6, class k bright in row k + 1 ----

byte() { printf "\\x$(printf %x "$1")"; }

# images FILE DOWN CLASS...: one for each class, moved down by DOWN rows; LABELS beside it.
images() {
  local file=$1 down=$2 class row
  shift 2
  printf '\0\0\10\3\0\0\0%b\0\0\0\6\0\0\0\6' "\\x$(printf %x $#)" >"$file"
  for class; do
    for row in 0 1 2 3 4 5; do
      if ((row == class + 1 + down)); then printf '\377\377\377\377\377\377'; else printf '\0\20\0\20\0\20'; fi
    done
  done >>"$file"
}
labels() {
  local file=$1 class
  shift
  printf '\0\0\10\1\0\0\0%b' "\\x$(printf %x $#)" >"$file"
  for class; do byte "$class"; done >>"$file"
}
right=(0 1 2 0 1 2 0 1 2 0 1 2)
images seen 0 "${right[@]}" && labels truth "${right[@]}"
images moved 1 "${right[@]}"
# Of five images of class 0 one is called 1; of four of class 1 one 0 and one 2; of three of class 2 none.
images shown 0 0 0 0 0 0 1 1 1 1 2 2 2 && labels called 0 0 0 0 1 1 1 0 2 2 2 2
cat >rows.net <<'END'
input  shape=1x6x6
conv   name=c1 filters=4 kernel=3 pad=1 init=he
relu
affine units=3 init=he
softmax
END
"$program" train rows.net --data seen,truth,seen,truth --epochs 60 --batch 4 --lr 0.01 --threads 1 --seed 5 \
  --out rows.safetensors >out 2>&1
"$program" eval rows.safetensors --data seen,truth,seen,truth --json >out 2>err
is 'the model knows the classes' 12 .correct
wrong=seen,truth,shown,called

# ---- Tables ----

check confusion 0 '"matrix"' show confusion rows.safetensors --data $wrong --json
is 'confusion: the matrix, truth by guess' '[[4,1,0],[1,2,0],[0,1,3]]' .matrix
is 'confusion: precision' '[0.8,0.5,1]' '[.classes[].precision]'
is 'confusion: recall' '[8000,6667,7500]' '[.classes[].recall * 10000 | round]'
is 'confusion: F1' '[8000,5714,8571]' '[.classes[].f1 * 10000 | round]'
is 'confusion: images, correct' '[12,9]' '[.images, .correct]'
check 'confusion: a table, and a picture' 0 '^0 +80.00 % +80.00 % +80.00 % +5$' \
  show confusion rows.safetensors --data $wrong --out c.png
[[ $(head -c 4 c.png | tail -c 3) == PNG ]]
report 'confusion: the picture is a PNG' $?
check 'confusion: a class never guessed has no precision' 0 '^0 +- +0.00 % ' \
  show confusion rows.safetensors --data seen,truth,moved,truth --limit 2
check mistakes 0 '"worst"' show mistakes rows.safetensors --data $wrong --json --out m.png
is 'mistakes: which' '[4,7,8]' '[.worst[].index] | sort'
is 'mistakes: truth and guess' '["1<0","0<1","2<1"]' '.worst | sort_by(.index) | map(.truth + "<" + .guess)'
is 'mistakes: the surest first' true '[.worst[].probability] | . == (sort | reverse) and .[2] > 0.5'
is 'mistakes: how many' '[12,3]' '[.images, .mistakes]'
check 'mistakes: the worst one' 0 '"mistakes":3,"worst":\[\{[^{]*\]' show mistakes rows.safetensors --data $wrong --json --count 1
check 'mistakes: none' 0 '^0 of 12 images are mistaken' show mistakes rows.safetensors --data seen,truth,seen,truth --out no.png
[[ ! -e no.png ]]
report 'mistakes: no picture of none' $?
"$program" eval rows.safetensors --data seen,truth,moved,truth --json >out 2>err
below=$(jq -r .correct out)
check shift 0 '"accuracy"' show shift rows.safetensors --data seen,truth,seen,truth --json --out s.png
is 'shift: in place all are right' 1 '.accuracy[4][4]'
is 'shift: one down is what eval says of images one down' "$below" '.accuracy[5][4] * 12 | round'
is 'shift: 9 by 9' '[9,9]' '[(.accuracy | length), (.accuracy[0] | length)]'
[[ $below -lt 12 ]]
report 'shift: it matters here' $?

# ---- Pictures ----

base64 -d >left.png <<<'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEUlEQVR42mN4BgRcQMBAGQMAb4QeAZU439wAAAAASUVORK5CYII='
check filters 0 '^filters.png: the filters of c1, before and after training$' show filters rows.safetensors --before
"$program" train rows.net --data seen,truth,seen,truth --epochs 1 --batch 4 --lr 1e-9 --threads 1 --seed 5 \
  --out first.safetensors >/dev/null 2>&1
"$program" show filters first.safetensors --before --out first.png >/dev/null
[[ -s first.png ]] && ! cmp -s first.png filters.png
report 'filters: training changes the sheet' $?
check response 0 '6x6 responses' show response rows.safetensors left.png
check 'response of a filter typed by hand' 0 '4x4 responses' \
  show response rows.safetensors left.png --filter '1 0 -1 / 2 0 -2 / 1 0 -1' --out sobel.png
check features 0 'what 5 layers make' show features rows.safetensors left.png
check 'features of one layer' 0 'what 1 layer makes' show features rows.safetensors left.png --layer c1 --out one.png
check excite 0 '"channels"' show excite rows.safetensors --layer c1 --data $wrong --patches 5 --json --out e.png
is 'excite: all channels' '[0,1,2,3]' '[.channels[].channel]'
is 'excite: so many patches, the strongest first' true \
  '.images == 12 and all(.channels[]; .patches | length == 5 and (map(.response) | . == (sort | reverse)))'
is 'excite: fields of 3x3 around the value' true \
  'all(.channels[] | .patches[], .ascent; .field == {top: (.row - 1), left: (.column - 1), height: 3, width: 3})'
is 'excite: ascent gets as far as the data' true 'all(.channels[]; .ascent.response > 0.9 * .patches[0].response)'
[[ $(head -c 4 e.png | tail -c 3) == PNG ]]
report 'excite: the picture is a PNG' $?
third=$(jq -c '[.channels[2].ascent.response, .channels[2].patches]' out)
check 'excite: a channel alone' 0 '"channel":2' \
  show excite rows.safetensors --layer c1 --channel 2 --data $wrong --patches 5 --json --threads 3 --out one.png
is 'excite: it is the same alone' "$third" '[.channels[0].ascent.response, .channels[0].patches]'
check 'excite: on three threads' 0 . \
  show excite rows.safetensors --layer c1 --data $wrong --patches 5 --threads 3 --out e3.png
cmp e.png e3.png
report 'excite: the same picture' $?
check 'excite: without data' 0 '^excite.png: 2 of 4 channels of relu1, receptive field 3x3$' \
  show excite rows.safetensors --layer relu1 --count 2
check 'excite: a table of one channel' 0 '^ +[0-9]+ +[-0-9.e]+  0 to 5, 0 to 5$' \
  show excite rows.safetensors --layer affine1 --channel 0 --data $wrong --limit 3
check 'excite: settings of ascent' 0 . show excite rows.safetensors --layer c1 --steps 9 --rate 1 --decay 0 --blur 0 \
  --rest 0.5 --seed 3 --out set.png
! cmp -s set.png excite.png
report 'excite: they matter' $?
check why 0 'what speaks for 2, which' show why rows.safetensors --data $wrong --index 9
check 'why: another class' 0 'what speaks for 0, which' show why rows.safetensors left.png --class 0
printf 'input shape=1x6x6\naffine units=9\nrelu\naffine units=3\nsoftmax\n' >flat.net
"$program" train flat.net --data seen,truth,seen,truth --epochs 1 --batch 4 --threads 1 --out flat.safetensors >/dev/null 2>&1
check 'why: a network without convolutions' 0 'what speaks for 1, which' \
  show why flat.safetensors left.png --class 1 --out flat.png
check net 0 '^net.svg: 5 layers' show net rows.net
grep -q '4 filters of 1x3x3' net.svg && [[ $(grep -c '<rect class="box' net.svg) == 5 ]]
report 'net: five boxes, with what is in them' $?
check 'net: branches' 0 '^r.svg: 74 layers' show net resnet20 --out r.svg
[[ $(grep -c 'class="wire" d="M[0-9]* [0-9]*H' r.svg) == 11 ]] # around 7 blocks, and 2 ways around each of 2
report 'net: a wire around each block' $?
if command -v xmllint >/dev/null; then
  xmllint --noout net.svg r.svg
  report 'net: XML' $?
fi

# ---- Refusals ----

check 'no kind' 2 'what to show is missing \(one of filters, .*, net\)' show
check 'a network in the place of a model' 1 "'lenet5' is a network, not a model: .* .cnn train lenet5. writes" \
  show filters lenet5
check 'its text in the place of a model' 1 "'flat.net' is a network, not a model" show filters flat.net
check 'a model that is not there' 1 "cannot open 'no.net'" show filters no.net
check 'a picture named as another format' 2 "'filters' writes PNG, and 'f.jpg' is named" \
  show filters rows.safetensors --out f.jpg
check 'a drawing named as another format' 2 "'net' writes SVG, and 'f.png' is named" show net lenet5 --out f.png
check 'a network without filters' 1 'has no layer with filters; .* work without' show filters flat.safetensors
check 'why: a layer that says nothing about places' 1 "each output of 'affine1' is one value" \
  show why flat.safetensors left.png --layer affine1
check 'an unknown kind' 2 "no 'filter' to show: did you mean 'filters'" show filter rows.safetensors
check 'no image' 2 "give 'why' one image" show why rows.safetensors
check 'an image and data' 2 "give 'why' one image" show why rows.safetensors left.png --data $wrong
check 'no data' 2 '--data DATA is missing' show shift rows.safetensors
check 'an option of another kind' 2 "--before means nothing to 'net'" show net lenet5 --before
check 'excite: no layer' 2 '--layer NAME is missing' show excite rows.safetensors
check 'excite: patches of no data' 2 '--patches needs --data' show excite rows.safetensors --layer c1 --patches 3
check 'excite: a channel and a number of them' 2 'give one of them' \
  show excite rows.safetensors --layer c1 --channel 1 --count 2
check 'excite: a channel that is not there' 1 "'c1' has 4 channels, 0 to 3; there is no 4" \
  show excite rows.safetensors --layer c1 --channel 4
check 'excite: a layer that is not there' 1 "did you mean 'c1'" show excite rows.safetensors --layer c3
check 'excite: blur beyond 1' 2 '--blur' show excite rows.safetensors --layer c1 --blur 2
check "excite's options mean nothing to others" 2 "--rest means nothing to 'why'" \
  show why rows.safetensors left.png --rest 0
check 'a filter that is none' 1 'rows of as many numbers' show response rows.safetensors left.png --filter '1 2 / 3'
check 'a filter larger than the image' 1 'does not fit|larger' show response rows.safetensors left.png --filter \
  '1 2 3 4 5 6 7'
check 'a layer without filters' 1 "'relu1' has no filters" show filters rows.safetensors --layer relu1
check 'a layer that is not there' 1 "did you mean 'c1'" show features rows.safetensors left.png --layer c2
check 'a class that is not there' 1 "no class '3'" show why rows.safetensors left.png --class 3
check 'an image beyond the last' 1 '12' show features rows.safetensors --data $wrong --index 12
cp net.svg kept.svg
(ulimit -f 1 && timeout 120 "$program" show net resnet20 --out net.svg >out 2>err)
[[ $? == 1 ]] && grep -q "'net.svg' cannot be written" err && cmp -s net.svg kept.svg && [[ $(echo net.svg*) == net.svg ]]
report 'a drawing that the disk has no room for leaves what was there' $?
check 'a file that cannot be written' 1 "the folder 'nowhere/' is not there" show net lenet5 --out nowhere/n.svg

echo "$passed passed, $failed failed"
((failed == 0))
