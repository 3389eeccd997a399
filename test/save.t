#!/bin/sh
# save.t - `model convert`: the written checkpoints, and full disks (faults 43, 44, 48 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(any_python)
convert() { "$caduceus" model convert "$@"; }
files="config.json model.safetensors tokenizer_config.json"

# ---- converting does not change the model ----
# converts NAME MODEL: the written checkpoint gives the same results as the one that was read.
converts() {
    ok "$1 is converted" convert -m "$2" -o new
    is "$1: the files of a checkpoint" "$(ls -A new | joined)" "$files "
    ok "$1: what was written verifies" "$caduceus" model verify -m new "$2/expected.safetensors"
    "$caduceus" model info -m "$2" | grep -vE '^(dtype|sha256)' >was
    "$caduceus" model info -m new | grep -vE '^(dtype|sha256)' >is
    same "$1: model info prints the same" was is
    rm -rf new
}
for model in "$data"/*/; do
    name=$(basename "$model")
    if can_read "$model"; then converts "$name" "$model"; else skip "$name" "built without libzip"; fi
done
if [ -d "$shared/golden" ]; then
    for model in "$shared"/golden/*/; do
        converts "golden $(basename "$model")" "$model"
    done
else skip "the large golden checkpoints are converted" "not present"; fi

# ---- an output that is a symbolic link: its target is replaced or created (60) ----
mkdir links; ln -s ../elsewhere.safetensors links/model.safetensors
ok "the target of a dangling link is created" convert -m "$data/ps" -o links
is "and the link is kept" "$(readlink links/model.safetensors)$(test -f elsewhere.safetensors && echo ' there')" \
    "../elsewhere.safetensors there"
rm -rf links elsewhere.safetensors

# ---- the files, read by independent code ----
if [ -n "$py" ]; then
    for model in ps cls-ps ps-odd-depth ph-untied plant cls-ph ps-bias; do
        "$py" "$checks/checkpoints.py" published "$data/$model" prefixed
        "$caduceus" model convert -m prefixed -o new
        check "$model: names, values, offsets and metadata are as published" converted.py prefixed new 'a "test", µ'
        rm -rf prefixed new
    done
else skip "names, values, offsets and metadata are as published" "no python3"; fi

# ---- the folder ----
mkdir plain && (umask 027; "$caduceus" model convert -m "$data/ps" -o plain/new)
is "new files follow the umask" "$(stat -c %a plain/new plain/new/* | joined)" "750 640 640 640 "
chmod 600 plain/new/config.json
ok "a checkpoint is replaced" convert -m "$data/ps-ssm" -o plain/new/
is "and keeps its mode" "$(stat -c %a plain/new/* | joined)" "600 640 640 "
ok "it holds the other model" "$caduceus" model verify -m plain/new "$data/ps-ssm/expected.safetensors"
cksum plain/new/* >before
error "onto the model itself" 'is also an input' convert -m plain/new -o plain/new
ln -s new plain/link
error "onto the model itself, by another name" 'is also an input' convert -m plain/new/model.safetensors -o plain/link
error "a folder whose parent does not exist" 'no/new: cannot write there: No such file' convert -m "$data/ps" -o no/new
error "a file with the name of the folder" 'before: is there and is not a folder' convert -m "$data/ps" -o before
error "no folder" '-o: give the folder' convert -m "$data/ps"
error "an empty name" 'cannot write there' convert -m "$data/ps" -o ''
error "a missing model" 'gone' convert -m gone -o other
is "no folder is left" "$(ls -d other 2>&1 | grep -c 'No such')" 1
error "-o is an option of convert only" 'no such option' "$caduceus" model info -m "$data/ps" -o new
echo '{}' >plain/new/tokenizer.json
error "a folder with another model's tokenizer" 'tokenizer.json: belongs to another model' \
    convert -m "$data/ps" -o plain/new
rm plain/new/tokenizer.json
cksum plain/new/* >after
same "the folder is unchanged after all errors" before after
if bound; then
    mkdir shut && chmod 500 shut
    error "a folder that is read-only" 'cannot write there' $as "$caduceus" model convert -m "$data/ps" -o shut
    chmod 700 shut
else skip "a folder that is read-only" "root cannot give up its rights"; fi

# ---- disks ----
why=$(no_preload "$full")
if [ -z "$why" ]; then
    "$caduceus" model convert -m "$data/ps" -o whole
    weights=$(wc -c <whole/model.safetensors)
    all=$(cat whole/* | wc -c)
    for named in 0 1; do
        if [ $named = 1 ]; then export FULLFS_NAMED=1; else unset FULLFS_NAMED; fi
        for n in 0 5 8 1000 $((weights - 1)) "$weights" $((all - 1)); do
            old $files
            error "disk full after $n bytes" 'out/[A-Za-z_.]*: write failed: No space left' \
                failing_disk AFTER="$n" convert -m "$data/ps" -o out
            intact "the old checkpoint is unchanged"
            error "the same without an old checkpoint" 'fresh/[A-Za-z_.]*: write failed: No space left' \
                failing_disk AFTER="$n" convert -m "$data/ps" -o fresh
            is "and there is no folder" "$(ls -d fresh 2>&1 | grep -c 'No such')" 1
        done
        for when in FSYNC CLOSE; do
            old $files
            error "$when fails" 'out/[A-Za-z_.]*: write failed: (No space left|Input/output error)' \
                failing_disk $when=1 convert -m "$data/ps" -o out
            intact "the old checkpoint is unchanged"
        done
        old $files
        ok "a disk that is just large enough" failing_disk AFTER="$all" convert -m "$data/ps" -o out
        for f in $files; do same "$f is complete" out/$f whole/$f; done
        is "and there are no other files" "$(ls -A out | joined)" "$files "
    done
else skip "disk full" "$why"; fi

finish
