// main.nf - computes a per-base track of a whole genome in shards. Untested: no Nextflow was at hand. The commands of
// both processes are tested (test/contrib.t), and the syntax was checked with Groovy's parser.
//   nextflow run contrib/nextflow/main.nf --reference hg38.fa --model model/ --out hg38.pll.bw --shards 16
// On Slurm: write process.executor = 'slurm' into nextflow.config.
//
// --reference  FASTA, plain or bgzip
// --model      checkpoint folder [the bundled small model]
// --out        the track, .bw, .bedGraph or .bedGraph.gz [track.bw]
// --shards     number of shards [16]
// --options    more options of `caduceus track`
nextflow.enable.dsl = 2

params.reference = null
params.model = null
params.out = 'track.bw'
params.shards = 16
params.options = ''

process SHARE {
    cpus 4
    memory '8 GB'
    time '12h'
    errorStrategy 'retry'
    maxRetries 2

    input:
    tuple val(i), val(n), val(name), val(options), path(reference), path(index), path(model)

    output:
    path "${i}.${name}*"

    script:
    def chosen = model ? "-m ${model}" : ''
    """
    caduceus track --quiet ${chosen} ${options} -@ ${task.cpus} -T ${reference} --shard ${i}/${n} -o ${i}.${name}
    """
}

process MERGE {
    publishDir "${file(params.out).parent}", mode: 'copy'

    input:
    val name
    path parts

    output:
    path "${name}*"

    script:
    """
    caduceus merge -o ${name} *.${name}
    """
}

workflow {
    def reference = file(params.reference, checkIfExists: true)
    def index = file("${params.reference}.{fai,gzi}")
    def model = params.model ? file(params.model, checkIfExists: true) : []
    def name = file(params.out).name
    def n = params.shards.toString().toInteger()
    def shares = channel.of(1..n).map { i -> tuple(i, n, name, params.options, reference, index, model) }
    SHARE(shares)
    MERGE(name, SHARE.out.flatten().collect())
}
