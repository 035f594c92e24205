# Removes Miniconda. Reads: p, the prefix. A removal that dies half-way leaves what counts as half-finished.
if ! cd -P -- "$p"; then exit 1; fi
real=$PWD
mkdir -p .fleetenv/miniconda && printf 'fresh\n' >.fleetenv/miniconda/started || exit 1
cd / || exit 1
find "$real" -mindepth 1 -maxdepth 1 ! -name .fleetenv -exec rm -rf -- {} + || exit 1
rm -rf -- "$real" || exit 1
if [ -L "$p" ]; then rm -f -- "$p"; fi
