# shellcheck shell=bash
# Sourced by local/data.sh of the corpus recipes: messages, downloads, archives. Each
# step can be repeated: what is there is not fetched or unpacked again.

log() { echo "$(date '+%Y-%m-%dT%H:%M:%S') ${0##*/}: $*"; }
fail() {
    log "error: $*" >&2
    exit 1
}

# no_positional "$@": refuses what is left behind the options.
no_positional() {
    [ $# -eq 0 ] || {
        log "error: got '$*', wanted options only. ${help_message}" >&2
        exit 2
    }
}

# download URL FILE: fetches a file; an interrupted one goes on where it stopped.
download() {
    [ ! -e "$2" ] || return 0
    command -v wget >/dev/null || fail "wget is missing: install it, or fetch $1 to $2"
    mkdir -p "$(dirname "$2")"
    log "Download: $1 -> $2"
    wget --continue --tries=5 --no-verbose --output-document="$2.partial" "$1" ||
        fail "could not fetch $1. Run the same command again to go on, or fetch it by" \
            "hand to $2"
    mv "$2.partial" "$2"
}

# unpack ARCHIVE TARGET: refuses archives that would write outside of TARGET.
unpack() {
    log "Unpack: $1 -> $2"
    python3 -m espnet_vibevoice.bin.unpack_archive "$1" "$2"
}

# find_corpus SOURCE URL FOLDER: sets ${corpus} to the unpacked corpus. SOURCE is its folder,
# its archive, or "downloads": the archive is fetched from URL. FOLDER gets both.
find_corpus() {
    local archive=$1
    corpus=$1
    if [ "$1" = downloads ]; then
        archive=$3/${2##*/}
        # Once it is unpacked, the archive may be removed.
        [ -e "$3/unpacked/.unpacked" ] || download "$2" "${archive}"
    fi
    if [ "$1" = downloads ] || [ -f "$1" ]; then
        corpus=$3/unpacked
        unpack "${archive}" "${corpus}"
    fi
    [ -d "${corpus}" ] || fail "no such corpus: ${corpus}. Set its variable in db.sh" \
        "to its folder or archive"
}

# finish: checks what was written.
finish() {
    python3 -m espnet_vibevoice.bin.validate_data_dir data/train data/valid data/test
    python3 -m espnet_vibevoice.bin.check_disjoint data/train data/valid data/test
    log "Done in ${SECONDS} s"
}
