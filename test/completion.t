#!/bin/sh
# completion.t - the scripts of `caduceus completion` complete commands, options, values and files in bash and zsh.
. "${srcdir:-.}/test/lib.sh"

mkdir bin
printf '#!/bin/sh\nexec "%s" "$@"\n' "$caduceus" >bin/caduceus
chmod +x bin/caduceus
PATH=$dir/bin:$PATH
: >in.bed
: >'two words.bed'

error "no shell" 'expected bash or zsh, 0 given' "$caduceus" completion --
error "another shell" 'fish: expected bash or zsh' "$caduceus" completion fish
error "completion to a full device" 'No space left' to_full "$caduceus" completion bash

# The two programs print the proposals for the words given, the last of which is incomplete, in the order of bytes. That
# of bash splits words at = as readline does; in that of zsh, functions stand for the shell's own.
cat >bash.sh <<'END'
. "$SCRIPT"
COMP_WORDS=()
for word; do
    case $word in --*=*) COMP_WORDS+=("${word%%=*}" = "${word#*=}") ;; *) COMP_WORDS+=("$word") ;; esac
done
[ -n "$word" ] || [ "${COMP_WORDS[-2]}" != = ] || unset 'COMP_WORDS[-1]'
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_caduceus
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort
END
cat >zsh.sh <<'END'
compset() { [[ $PREFIX == ${~2}* ]] || return 1; before_=$PREFIX; PREFIX=${PREFIX##${~2}}; LIST=${before_%$PREFIX} }
compadd() {
    while [[ $1 != -- ]]; do shift; done
    shift
    for word; do [[ $word != $PREFIX* ]] || print -r -- "${LIST##*=}$word"; done
}
_files() { for word in *(N); do [[ $word != $PREFIX* ]] || print -r -- $word; done }
compdef() { print -r -- "$@" >compdef.out }
if [[ $SCRIPT = */_caduceus ]]; then _caduceus() { . "$SCRIPT" }; else . "$SCRIPT"; fi
words=("$@") CURRENT=$# PREFIX=$@[-1] LIST=
_caduceus | LC_ALL=C sort
END

# completes SHELL NAME PROPOSALS WORD...: the words give exactly these proposals, one a blank.
completes() {
    local shell=$1 name=$2 want=$3; shift 3
    "$shell" $shell.sh caduceus "$@" >out 2>err
    is "$shell: $name" "$(joined <out)$(cat err)" "$want"
}
# among SHELL NAME PROPOSAL WORD...: the proposal is one of them.
among() {
    local shell=$1 name=$2 want=$3; shift 3
    "$shell" $shell.sh caduceus "$@" >out 2>err
    ok "$shell: $name" grep -qxF -- "$want" out
}

for shell in bash zsh; do
    if ! command -v $shell >/dev/null 2>&1; then skip "completion in $shell" "no $shell"; continue; fi
    "$caduceus" completion $shell >script.$shell
    export SCRIPT="$dir/script.$shell"
    ok "$shell reads the script" $shell -n script.$shell
    completes $shell "commands" "predict pretrain " pre
    completes $shell "actions" "convert " model c
    completes $shell "help names commands" "track " help tr
    completes $shell "help names actions" "pull " help model p
    completes $shell "the shell of completion" "bash " completion b
    completes $shell "an option" "--score " annotate --sc
    completes $shell "an option with another name" "--fasta-ref " track --fas
    completes $shell "an option of an action" "--keep-bias " model convert --k
    completes $shell "no option that embed refuses" "" embed --tag
    completes $shell "a value" "center " embed --pool c
    completes $shell "a value of an option's letter" "cuda " eval -d cu
    completes $shell "a value after =" "stride:8 " track --mask=s
    completes $shell "another command's values" "max mean " finetune --pool m
    completes $shell "a pooling of classifiers alone" "attention " protocol --pool a
    completes $shell "a list" "logo logo_ref " track --score lo
    completes $shell "the next of a list" "pll,dist " annotate --score pll,di
    completes $shell "a file" "in.bed " annotate -T ref.fa in
    completes $shell "a file with a blank" "two words.bed " annotate tw
    completes $shell "a file for an option" "in.bed " annotate -T in
    completes $shell "no file for a number" "" annotate --window in
    completes $shell "no separate value for one that may lack" "in.bed " annotate --write-index in
    completes $shell "but one after =" "csi " annotate --write-index=c
    among $shell "values after = alone" "csi" annotate --write-index=
    among $shell "all options" "--window" predict -
done

# Every option of every usage is proposed, and nothing else.
export SCRIPT="$dir/script.bash"
if command -v bash >/dev/null 2>&1; then
    for command in annotate track embed pretrain finetune predict protocol eval bench merge completion 'model info' \
        'model verify' 'model pull' 'model list' 'model convert' 'model new'; do
        bash bash.sh caduceus $command - | grep -e -- | tr -d = | sort -u >proposed
        "$caduceus" $command --help | sed -n '/^Example/q; /^ /p' |
            grep -oE '(^|[ ,;])--[A-Za-z][A-Za-z0-9-]*' | tr -d ' ,;' | sort -u >listed
        same "the options of $command" listed proposed
    done
fi

# The installed files: bash-completion sources the first; zsh runs the second as the function _caduceus.
export SCRIPT="$srcdir/contrib/completion/caduceus"
if command -v bash >/dev/null 2>&1; then completes bash "the installed file" "track " tr; fi
export SCRIPT="$srcdir/contrib/completion/_caduceus"
if command -v zsh >/dev/null 2>&1; then completes zsh "the installed file" "track " tr
    is "it is registered for caduceus" "$(cat compdef.out)" "_caduceus caduceus"; fi
finish
