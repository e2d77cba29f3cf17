# shellcheck shell=bash
# Sets variables of the calling script from its command line. To be sourced after the
# variables got their default values and ${help_message} its text:
#
#   nj=4
#   skip_eval=false
#   . utils/parse_options.sh
#
# Every variable in lower case that is set by then is an option:
#   --nj 8 | --nj=8          "-" and "_" in names are the same: --skip-eval
#   --skip_eval true         where the default is true or false, so must the value be
#   --config FILE            lines "name=value", read before the command line
#   --help                   prints ${help_message}
# The positional arguments that remain are left in "$@"; "--" ends the options.
# A mistake is one line on standard error and exit status 2.

_po_fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}

# _po_check_name NAME WHERE: fails unless a variable of that name is set.
_po_check_name() {
    local _po_name="${1//-/_}"
    if [[ ! "${_po_name}" =~ ^[a-z][a-z0-9_]*$ ]] || [ -z "${!_po_name+set}" ]; then
        _po_fail "unknown option --$1$2 (see --help)"
    fi
}

# _po_set NAME VALUE WHERE: sets a variable after checking name and value.
_po_set() {
    local _po_name="${1//-/_}"
    _po_check_name "$1" "$3"
    case "${!_po_name}" in
        true | false)
            case "$2" in
                true | false) ;;
                *) _po_fail "option --$1$3 wants true or false, got '$2'" ;;
            esac
            ;;
    esac
    printf -v "${_po_name}" '%s' "$2"
}

# _po_read_config FILE: sets variables from lines "name=value"; "#" begins a comment
# line, quotes around a value are removed.
_po_read_config() {
    local _po_line _po_value _po_number=0
    [ -f "$1" ] || _po_fail "option --config: no such file: $1"
    while IFS= read -r _po_line || [ -n "${_po_line}" ]; do
        _po_number=$((_po_number + 1))
        _po_line="${_po_line%$'\r'}"
        if [[ "${_po_line}" =~ ^[[:space:]]*(#|$) ]]; then
            continue
        fi
        if [[ ! "${_po_line}" =~ ^[[:space:]]*(--)?([A-Za-z0-9_-]+)=(.*)$ ]]; then
            _po_fail "$1:${_po_number}: want name=value, got '${_po_line}'"
        fi
        _po_line="${BASH_REMATCH[2]}"
        _po_value="${BASH_REMATCH[3]}"
        if [[ "${_po_value}" =~ ^\"(.*)\"[[:space:]]*$ ]] \
            || [[ "${_po_value}" =~ ^\'(.*)\'[[:space:]]*$ ]]; then
            _po_value="${BASH_REMATCH[1]}"
        fi
        _po_set "${_po_line}" "${_po_value}" " ($1:${_po_number})"
    done < "$1"
}

# _po_find_config ARGS...: reads the files of --config, wherever it stands.
_po_find_config() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --config=*) _po_read_config "${1#*=}" ;;
            --config) [ $# -lt 2 ] || _po_read_config "$2" ;;
        esac
        case "$1" in
            -- | [!-]* | "") return 0 ;;
            --*=* | -h | --help) shift ;;
            *) shift $(($# < 2 ? $# : 2)) ;;
        esac
    done
}

_po_find_config "$@"
while [ $# -gt 0 ]; do
    case "$1" in
        --)
            shift
            break
            ;;
        -h | --help)
            printf '%s\n' "${help_message-${0##*/} has no help text}"
            exit 0
            ;;
        --config=*) shift ;;
        --*=*)
            _po_option="${1%%=*}"
            _po_set "${_po_option#--}" "${1#*=}" ""
            shift
            ;;
        --*)
            # An unknown option is named as such even where its value is missing.
            if [ $# -lt 2 ]; then
                [ "$1" = --config ] || _po_check_name "${1#--}" ""
                _po_fail "option $1 wants a value"
            fi
            [ "$1" = --config ] || _po_set "${1#--}" "$2" ""
            shift 2
            ;;
        -?*) _po_fail "unknown option $1 (see --help)" ;;
        *) break ;;
    esac
done
unset -f _po_fail _po_check_name _po_set _po_read_config _po_find_config
unset -v _po_option
