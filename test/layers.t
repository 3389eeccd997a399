#!/bin/sh
# layers.t - files of each folder depend only on headers of that folder and of the layers below it, directly or not.
. "${srcdir:-.}/test/lib.sh"
cd "$srcdir" || exit 1
cc=${CC:-cc}

# depends FILE...: prints "FILE HEADER" for each header of this project that a file includes, directly or indirectly.
depends() {
    $cc -MM -MG -x c -I core -I htslib-glue -I cmd "$@" 2>/dev/null | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' |
        awk '{ for (i = 3; i <= NF; i++) if ($i ~ /^(core|htslib-glue|cmd|plugin|cuda)\//) print $2, $i }'
}

# room FOLDER ALLOWED NAME: the files of FOLDER depend only on headers that match ALLOWED.
room() {
    files=$(find "$1" \( -name '*.c' -o -name '*.cu' \) 2>/dev/null | sort)
    [ -n "$files" ] || { skip "$3" "no such room"; return; }
    found=$(depends $files)
    if [ -z "$found" ]; then fail "$3"; echo "# $cc -MM lists no dependencies"
    else is "$3" "$(echo "$found" | awk -v ok="^($2)" '$2 !~ ok' | head -n 5)" ""; fi
}

base='core/(caduceus\.h|base/)'
model="$base|core/model/"
engine="$model|core/engine/"
blocks="$engine|core/blocks/|core/measure/"
io="$base|htslib-glue/io/"
stream="$io|htslib-glue/stream/"
learn="$stream|htslib-glue/learn/"
measure='core/measure/measure\.h'

if $cc -MM -MG -x c core/caduceus.h >/dev/null 2>&1; then
    room core/base "$base" "base knows nothing above it"
    room core/model "$model" "model knows base"
    room core/blocks "$blocks" "blocks know the engine, and measuring"
    room core/engine "$engine" "the engine knows no backend, no training, no measuring"
    room core/cpu "$blocks|core/cpu/" "the CPU backend knows the kinds of layers"
    room core/train "$engine|core/train/" "training knows no backend"
    room core/measure "$engine|core/measure/" "measuring knows no backend and no trainer"
    room cuda "$blocks|cuda/" "the CUDA backend knows the kinds of layers"
    room htslib-glue/io "$io" "io knows base alone"
    room htslib-glue/stream "$stream" "stream knows the library by caduceus.h"
    room htslib-glue/learn "$learn" "learn too"
    room cmd "$learn|cmd/|$measure" "commands too, and measure.h"
    room cmd/draw "$io|cmd/draw/" "drawing knows no models"
    room plugin "$learn|cmd/" "the plugin knows the commands"
    is "only bench and model use measure/" \
        "$(depends $(find cmd -name '*.c') | awk '$2 ~ /measure/ { print $1 }' | grep -v '^cmd/bench/' | tr '\n' ' ')" \
        "cmd/model/verify.c "
    is "measure.h does not expose the engine" "$(depends core/measure/measure.h | awk -v ok="^($base)" '$2 !~ ok')" ""
else
    skip "rooms" "no compiler that lists dependencies"
fi

# never FOLDER REGEX NAME: no #include line in FOLDER names a header that matches REGEX.
never() {
    hits=$(grep -rnE "^#include [<\"]($2)" "$1" --include='*.c' --include='*.h' --include='*.cu' 2>/dev/null)
    is "$3" "$hits" ""
}

never core 'htslib/|cuda|\.\./' "core knows neither htslib nor CUDA"
never cuda 'htslib/|\.\./' "cuda knows no files"
never htslib-glue 'cuda|\.\./' "nor does glue know CUDA"
never cmd 'cuda|\.\./' "nor do commands"
for folder in cmd plugin htslib-glue/stream htslib-glue/learn; do
    never $folder '(base|model|blocks|engine|train/trainer|cpu)/' "$folder names nothing of the core but caduceus.h"
done
never htslib-glue/io 'caduceus\.h' "io knows no model"
is "no two files of different rooms have one name; kinds and backends share theirs" \
    "$(find core htslib-glue cmd plugin -name '*.[ch]' ! -path 'core/blocks/*' ! -path 'core/cpu/*' |
        sed 's|.*/||' | sort | uniq -d)" ""
is "only the commands end the process" \
    "$(grep -rnE '\b(exit|abort) ?\(' core htslib-glue cuda --include='*.[ch]' --include='*.cu' |
        grep -vE 'bgzf|output_abort')" ""
is "the core never prints" \
    "$(grep -rnE '\b(printf|puts|fputs|perror|fprintf) ?\(' core --include='*.[ch]' | grep -v snprintf)" ""
is "only conjoin and the checkpoint distinguish PS from Ph" \
    "$(grep -rlE 'rcps' core --include='*.c' | sort | joined)" \
    "core/engine/conjoin.c core/model/checkpoint.c core/model/config.c core/model/config_text.c core/model/tensors.c "
is "no fast-math, no native code" \
    "$(grep -nE -e '-ffast-math|-march=native|fopenmp' configure.ac Makefile.am m4/caduceus.m4)" ""
finish
