# Sourced last by path.sh, here and in an ESPnet checkout.

# Kaldi's utils/validate_data_dir.sh looks for a UTF-8 locale with
# `locale -a | grep "C.UTF-8"` and otherwise takes en_US.UTF-8. Debian and Ubuntu list
# it as C.utf8 and have no en_US.UTF-8 by default, so that Persian text is refused as
# "non-printable characters". Both spellings name the same locale, so the list gets
# the other one. This can go when Kaldi's script accepts C.utf8.
locale() {
    local listed
    listed=$(command locale "$@") || return
    if [ "$*" = "-a" ] && grep -qx "C\.utf8" <<< "${listed}"; then
        listed+=$'\nC.UTF-8'
    fi
    echo "${listed}"
}
export -f locale
