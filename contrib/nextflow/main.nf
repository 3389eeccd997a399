// main.nf - computes per-base tracks of a whole genome in shards.
//   nextflow run contrib/nextflow/main.nf --reference hg38.fa --model model/ --out hg38.pll.bw --shards 16
nextflow.enable.dsl = 2

params.reference = null
params.model = null
params.out = 'track.bw'
params.shards = 16
params.options = ''

process SHARE {
    cpus 4
    memory '8 GB'
    errorStrategy 'retry'
    maxRetries 2

    input:
    tuple val(i), path(reference), path(index), path(model)

    output:
    tuple path("${i}.${file(params.out).name}"), path("${i}.${file(params.out).name}.json")

    script:
    """
    caduceus track --quiet -m ${model} ${params.options} -@ ${task.cpus} -T ${reference} \\
        --shard ${i}/${params.shards} -o ${i}.${file(params.out).name}
    """
}

process MERGE {
    publishDir { file(params.out).parent ?: '.' }, mode: 'copy'

    input:
    path parts

    output:
    path "${file(params.out).name}*"

    script:
    """
    caduceus merge -o ${file(params.out).name} \$(ls *.${file(params.out).name} | sort -n)
    """
}

workflow {
    reference = file(params.reference, checkIfExists: true)
    index = file("${params.reference}.{fai,gzi}")
    shares = Channel.of(1..params.shards).map { i -> tuple(i, reference, index, file(params.model)) }
    SHARE(shares) | flatten | collect | MERGE
}
