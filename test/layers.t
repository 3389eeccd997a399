#!/bin/sh
# layers.t - each layer includes only itself and what lies below it.
. "${srcdir:-.}/test/lib.sh"
cd "$srcdir" || exit 1

# includes FOLDER REGEX: no file of the folder includes anything that matches.
never() {
    hits=$(grep -rnE "^#include [<\"]($2)" "$1" --include='*.c' --include='*.h' --include='*.cu' 2>/dev/null)
    is "$3" "$hits" ""
}

never core 'htslib/|cuda|(io|stream|learn)/|cmd\.h|\.\./(htslib-glue|cmd|plugin)' "core knows neither htslib, CUDA, glue nor commands"
never core/base '(model|blocks|engine|train|cpu|measure)/' "base knows nothing above it"
never core/model '(engine|train|cpu|measure)/' "model knows no engine"
never core/engine '(train|cpu|measure)/' "the engine knows no backend, no training, no measuring"
never core/cpu '(train)/' "the CPU backend knows no trainer"
never htslib-glue 'engine/|cuda|cmd\.h|train/|.*cpu/' "glue knows no backends and no commands"
never htslib-glue/io '(model|stream|learn)/' "io knows no model"
never htslib-glue/stream 'learn/' "stream knows nothing of learning"
never cuda 'htslib/|(io|stream|learn)/|cmd\.h' "cuda knows no files"
never cmd 'engine/|cuda|.*cpu/' "commands know no backends"
is "only the commands end the process" "$(grep -rnE '\b(exit|abort) ?\(' core htslib-glue cuda 2>/dev/null | grep -vE 'bgzf|output_abort')" ""
is "the core never prints" "$(grep -rnE '\b(printf|puts|fputs|perror|fprintf) ?\(' core | grep -v snprintf)" ""
is "only conjoin and the checkpoint know PS from Ph" \
    "$(grep -rlE 'rcps' core --include='*.c' | sort | tr '\n' ' ')" \
    "core/engine/conjoin.c core/model/checkpoint.c core/model/config.c core/model/tensors.c "
is "no fast-math, no native code" "$(grep -nE -e '-ffast-math|-march=native|fopenmp' configure.ac Makefile.am m4/caduceus.m4)" ""
finish
