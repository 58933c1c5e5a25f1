#!/usr/bin/env bash
# The same bits everywhere: model files, byte for byte, from two runs, from any number of threads and from
# every instruction set of this machine. Called by CTest: bits.sh PROGRAM. Needs MNIST; else skipped (77).
set -u
program=$(realpath "${1:?usage: bits.sh PROGRAM}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CNN_ISA
"$program" data verify mnist >/dev/null 2>&1 || { echo "mnist is not there: skipped"; exit 77; }
passed=0 failed=0

train() { # train NAME NET LIMIT THREADS
  "$program" train "$2" --data mnist --limit "$3" --epochs 1 --threads "$4" --out "$work/$1.safetensors" >"$work/log" 2>&1 ||
    { cat "$work/log"; return 1; }
}

same() { # same NAME REFERENCE
  if cmp -s "$work/$1.safetensors" "$work/$2.safetensors"; then
    passed=$((passed + 1)); echo "ok     $1 = $2"
  else
    failed=$((failed + 1)); echo "FAILED $1 differs from $2"
  fi
}

for net in simple-conv-net mlp5; do
  train "$net" $net 1050 1
  for threads in 1 2 3 7; do
    train "$net-threads-$threads" $net 1050 $threads
    same "$net-threads-$threads" "$net"
  done
  for isa in avx2 avx512 neon; do
    if CNN_ISA=$isa train "$net-$isa" $net 1050 2; then
      same "$net-$isa" "$net"
    else
      echo "skip   $isa: not on this machine"
    fi
  done
  train "$net-short" $net 200 2
  CNN_ISA=scalar train "$net-scalar" $net 200 2 && same "$net-scalar" "$net-short"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
