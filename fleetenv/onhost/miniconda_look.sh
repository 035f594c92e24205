# What is at a prefix. Reads: p, the prefix; processes, 'yes' to look for what runs from it.
# Prints pairs, each word ended by NUL. Without forks where all is well.
say() { printf '%s\0%s\0' "$1" "$2"; }
there() { [ -e "$1" ]; }

if ! [ -e "$p" ]; then say kind absent; exit 0; fi
if ! [ -d "$p" ]; then say kind other; exit 0; fi
if ! cd -P -- "$p" 2>/dev/null || ! [ -r . ]; then say kind denied; exit 0; fi
say kind folder
say folder "$PWD"
if [ -w . ]; then say writable yes; fi
for f in * .[!.]*; do
  case $f in .fleetenv) ;; *) if [ -e "$f" ] || [ -L "$f" ]; then say content yes; break; fi;; esac
done
if [ -e .fleetenv/miniconda/started ]; then say started yes; fi
if [ -e .fleetenv/miniconda/finished ]; then say finished yes; fi
if [ -f conda-meta/history ]; then say history yes; fi
if [ -x bin/python ]; then say python yes; fi
if [ -x bin/conda ]; then say conda yes; fi
for f in conda-meta/conda-[0-9]*.json conda-meta/python-[0-9]*.json conda-meta/conda-anaconda-tos-[0-9]*.json; do
  if [ -e "$f" ]; then say record "${f#conda-meta/}"; fi
done
# Where conda-anaconda-tos notes what was accepted: by the hash of the channel's place.
for h in 3c9d068aa053e2a1c4313fe3391b7a8ee57c4fbd09c4e8aeae49ef333a740150 \
  8c054ac91082b2ed4862701ed278dc96a78db796db69dedc296e13baab307527; do
  set -- conda-meta/tos/$h/*.json
  if ! there "$1"; then set -- /etc/conda/tos/$h/*.json; fi
  if there "$1"; then say accepted $h; fi
done
for f in envs/*/conda-meta/history; do
  if there "$f"; then f=${f%/conda-meta/history}; say environment "${f#envs/}"; fi
done
for f in envs/.fleetenv/*/*/conda-meta/history; do  # conda_env's generations
  if there "$f"; then f=${f#envs/.fleetenv/}; say built "${f%%/*}"; fi
done
if [ "$owner" = yes ]; then say owner "$(stat -c %U .)"; say uid "$(stat -c %u .)"; fi
if [ "$processes" = yes ]; then
  LC_ALL=C ls -l /proc/[0-9]*/exe 2>/dev/null | while read -r line; do
    case $line in
      *" -> $PWD/"*)
        n=${line##*/proc/}; n=${n%%/*}
        { read -r name </proc/"$n"/comm; } 2>/dev/null && say process "$n $name"
      ;;
    esac
  done
fi
# One that somebody else installed is asked whether it works, until fleetenv has noted that it does.
if [ -f conda-meta/history ] && ! there .fleetenv/miniconda/started && ! there .fleetenv/miniconda/finished; then
  if bin/python -I -c '' >/dev/null 2>&1 </dev/null && bin/conda --version >/dev/null 2>&1 </dev/null; then
    say answers yes
  fi
fi
exit 0
