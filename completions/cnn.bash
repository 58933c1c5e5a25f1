# Bash completion for cnn. It asks the program itself, so that it knows what the program knows: commands,
# networks and data sets from `cnn --help`, options and their choices from `cnn COMMAND --help`, kinds of
# layer from `cnn layers`. Installed as share/bash-completion/completions/cnn; or source it.

# What the program prints; nothing where it fails.
_cnn_ask() {
  local program=${COMP_WORDS[0]}
  "${program/#\~/$HOME}" "$@" 2>/dev/null
}

# The names of a line of `cnn --help`: `Networks:  a, b; or ...` gives a b.
_cnn_names() {
  _cnn_ask --help | sed -n "s/^$1: *\(.*\);.*/\1/p" | sed 's/; .*//; s/,//g'
}

_cnn_commands() {
  _cnn_ask --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# Words that match, and after them files with these endings (a pattern of bash) and folders.
_cnn_reply() {
  local cur=$1 words=$2 endings=$3 name
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  [[ -n $endings ]] || return
  compopt -o filenames 2>/dev/null
  while IFS= read -r name; do
    # shellcheck disable=SC2053 # $endings is a pattern
    if [[ -d $name || $name == $endings ]]; then COMPREPLY+=("$name"); fi
  done < <(compgen -f -- "$cur")
}

# The value of an option.
_cnn_value() {
  local command=$1 option=$2 cur=$3 choices
  case $option in
    --data) _cnn_reply "$cur" "$(_cnn_names 'Data sets')" '*' ;;
    --out)
      case $command in
        data) _cnn_reply "$cur" '' '*.png' ;;
        show) _cnn_reply "$cur" '' '*.@(png|svg)' ;;
        report) _cnn_reply "$cur" '' '*.html' ;;
        *) _cnn_reply "$cur" '' '*.safetensors' ;;
      esac
      ;;
    --log) _cnn_reply "$cur" '' '*.jsonl' ;;
    --config) _cnn_reply "$cur" '' '*' ;;
    --schedule) _cnn_reply "$cur" "$(_cnn_ask train --help | sed -n '/^Schedules/,/^$/s/^  \([a-z-]*\) .*/\1/p')" '' ;;
    --eval-train) _cnn_reply "$cur" 'all none' '' ;;
    *)
      choices=$(_cnn_ask "$command" --help | sed -n "s/^ *$option=[A-Z]* *[^:]*: \(.*\) (default.*/\1/p")
      [[ $choices != *default* ]] || choices=''
      _cnn_reply "$cur" "${choices//,/}" ''
      ;;
  esac
}

# The words that are not options: `index` is 0 for the first.
_cnn_word() {
  local command=$1 index=$2 action=$3 cur=$4 pictures='*.@(png|jpg|jpeg|PNG|JPG|JPEG)'
  case $command:$index in
    train:0) _cnn_reply "$cur" "$(_cnn_names Networks)" '*.net' ;;
    summary:0 | gradcheck:0 | bench:0) _cnn_reply "$cur" "$(_cnn_names Networks)" '*.@(net|safetensors)' ;;
    eval:0 | predict:0 | serve:0 | report:0) _cnn_reply "$cur" '' '*.safetensors' ;;
    predict:*) _cnn_reply "$cur" '' "$pictures" ;;
    show:0) _cnn_reply "$cur" "$(_cnn_ask show --help | sed -nE 's/^(Usage:|  or:) +cnn show( \[OPTION...\])? ([a-z]+).*/\3/p')" '' ;;
    show:1) if [[ $action == net ]]; then
        _cnn_reply "$cur" "$(_cnn_names Networks)" '*.@(net|safetensors)'
      else
        _cnn_reply "$cur" '' '*.safetensors'
      fi ;;
    show:2) _cnn_reply "$cur" '' "$pictures" ;;
    layers:0) _cnn_reply "$cur" "$(_cnn_ask layers | sed 's/ .*//')" '' ;;
    data:0) _cnn_reply "$cur" 'list fetch verify show' '' ;;
    data:1) [[ $action == show ]] && _cnn_reply "$cur" "$(_cnn_names 'Data sets')" '*' && return
      [[ $action == list ]] || _cnn_reply "$cur" "$(_cnn_names 'Data sets')" '' ;;
    help:0) _cnn_reply "$cur" "$(_cnn_commands)" '' ;;
  esac
}

_cnn() {
  local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  local options valued word action='' index=0 i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _cnn_reply "$cur" "$(_cnn_commands) help --help --version" ''
    return
  fi
  # `--name=value` comes as three words: --name, = and value
  if [[ $cur == = ]]; then cur=''; elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi
  options=$(_cnn_ask "$command" --help | grep -oE -- '^ +(-., +)?--[a-z-]+=?' | grep -oE -- '--[a-z-]+=?')
  valued=$(grep '=' <<<"$options" | tr -d =)
  [[ $previous != -o ]] || previous=--out
  if grep -qxF -e "$previous" <<<"$valued"; then
    _cnn_value "$command" "$previous" "$cur"
    return
  fi
  if [[ $cur == -* ]]; then
    _cnn_reply "$cur" "${options//=/}" ''
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == -* ]]; then
      [[ $word != -o ]] || word=--out
      if grep -qxF -e "$word" <<<"$valued"; then
        i=$((i + 1))
        [[ ${COMP_WORDS[i]} != = ]] || i=$((i + 1))
      fi
      continue
    fi
    [[ -n $action ]] || action=$word
    index=$((index + 1))
  done
  _cnn_word "$command" "$index" "$action" "$cur"
}

complete -F _cnn cnn
