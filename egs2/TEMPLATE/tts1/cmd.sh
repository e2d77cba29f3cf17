# shellcheck shell=bash
# How jobs are run. Choose by cmd_backend=local|slurm, here or in the environment.
#   <cmd> [--gpu N] [--mem 4G] JOB=1:8 log/x.JOB.log command args with JOB
#   train_cmd   data preparation, statistics, latents on CPU
#   cuda_cmd    training, and latents and decoding on GPU
#   decode_cmd  decoding on CPU
cmd_backend=${cmd_backend:-local}

case "${cmd_backend}" in
    local)
        export train_cmd="run.pl" cuda_cmd="run.pl" decode_cmd="run.pl"
        ;;
    slurm)
        # Partitions and limits are set in conf/slurm.conf of the recipe.
        export train_cmd="slurm.pl" cuda_cmd="slurm.pl" decode_cmd="slurm.pl"
        ;;
    *)
        echo "cmd.sh: cmd_backend is '${cmd_backend}', known are local and slurm" >&2
        return 1
        ;;
esac
