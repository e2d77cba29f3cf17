#!/usr/bin/env bash
# Runs jobs on this machine, called as Kaldi's script of this name, by which
# espnet2.bin.launch tells the back ends apart:
#   utils/run.pl [options] JOB=1:N log/x.JOB.log command args
exec python3 -m espnet_vibevoice.bin.run_jobs --backend local "$@"
