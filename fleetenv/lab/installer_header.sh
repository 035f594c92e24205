#!/bin/sh
#
# NAME:  Miniconda3
# VER:   @VERSION@
# PLAT:  @SUBDIR@
# MD5:   @MD5@
#
# Not Miniconda: built by fleetenv's lab, in its shape, with the Python that runs fleetenv and a stand-in for conda.

set -eu

unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT

if ! echo "$0" | grep '\.sh$' > /dev/null; then
    printf 'Please run using "bash"/"dash"/"sh"/"zsh", but not "." or "source".\n' >&2
    exit 1
fi

THIS_PATH=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
PREFIX="${HOME:-/opt}/miniconda3"
BATCH=0
FORCE=0
USAGE="
usage: $0 [options]

Installs the lab's stand-in for Miniconda3 @VERSION@

-b           run install in batch mode (without manual intervention)
-f           no error if install prefix already exists
-h           print this help message and exit
-p PREFIX    install prefix, defaults to $PREFIX, must not contain spaces.
-s           skip running pre/post-link/install scripts
-u           update an existing installation
"

while getopts "bfhp:su" x; do
    case "$x" in
        h) printf '%s\n' "$USAGE"; exit 2 ;;
        b) BATCH=1 ;;
        f | u) FORCE=1 ;;
        p) PREFIX="$OPTARG" ;;
        s) ;;
        ?) printf "ERROR: did not recognize option '%s', please try -h\n" "$x"; exit 1 ;;
    esac
done

if [ "$BATCH" = 0 ]; then
    printf 'ERROR: the lab has no interactive installation, use -b\n' >&2
    exit 1
fi
case "$PREFIX" in
    *\ *)
        printf 'ERROR: Cannot install into directories with spaces\n' >&2
        exit 1
        ;;
esac
if [ "$FORCE" = 0 ] && [ -e "$PREFIX" ]; then
    printf "ERROR: File or directory already exists: '%s'\n" "$PREFIX" >&2
    printf 'If you want to update an existing installation, use the -u option.\n' >&2
    exit 1
fi
if ! mkdir -p "$PREFIX"; then
    printf "ERROR: Could not create directory: '%s'\n" "$PREFIX" >&2
    exit 1
fi
PREFIX=$(cd "$PREFIX" && pwd)
printf 'PREFIX=%s\n' "$PREFIX"

# The payload begins behind the line that ends this header.
last_line=$(grep -anm 1 '^@@END_HEADER@@' "$THIS_PATH" | sed 's/:.*//')
payload() { tail -n "+$((last_line + 1))" "$THIS_PATH"; }

got=$(payload | md5sum)
if [ "${got%% *}" != '@MD5@' ]; then
    printf 'WARNING: md5sum mismatch of tar archive\nexpected: @MD5@\n     got: %s\n' "$got" >&2
fi

printf 'Unpacking payload ...\n'
payload | gzip -dc | tar -C "$PREFIX" -xf -

printf '\nInstalling base environment...\n\n'
"$PREFIX/pkgs/@PYTHON@/bin/python" -I -B "$PREFIX/pkgs/link_base.py" "$PREFIX" "$THIS_PATH" @PACKAGES@
rm -f "$PREFIX/pkgs/link_base.py"
mkdir -p "$PREFIX/envs"
printf 'installation finished.\n'
exit 0
@@END_HEADER@@
