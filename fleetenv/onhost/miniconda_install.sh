# Installs Miniconda, or updates one, from the first place that has the right installer.
# Reads: p, the prefix; pushed, an installer on this host already, and pushed_sum, its sha256 as it arrived, or both
# empty; sum, sum_x86_64, sum_aarch64, sha256 or empty; mode, 'fresh' or 'update'; owner, user or empty; terms, 'accept'
# or empty; "$@", URLs.
umask 022
unset PYTHONHOME PYTHONPATH CONDARC
here=$p/.fleetenv/miniconda
say() { printf 'fleetenv-progress %s %s %s\n' "$1" "$2" "$3" >&2; }
fail() { printf '%s\n' "$1" >&2; exit 1; }

case $(uname -m) in
  x86_64 | amd64) arch=x86_64; sum=${sum:-$sum_x86_64} ;;
  aarch64 | arm64) arch=aarch64; sum=${sum:-$sum_aarch64} ;;
  *) fail "there is no Miniconda for this machine ($(uname -m))" ;;
esac
case $(uname -s) in Linux) ;; *) fail "this is no Linux ($(uname -s))" ;; esac
mkdir -p -- "$here" || exit 1

# A prefix on a shared file system may be wanted by many hosts at once: one installs, the others wait for it.
exec 9>"$here/lock" || exit 1
if command -v flock >/dev/null && ! flock -n 9; then
  say 0 0 "waiting for another host that installs here"
  flock 9 || fail "cannot lock $here/lock"
  if [ "$mode" = fresh ] && [ -e "$here/finished" ]; then exit 0; fi
fi
# The shell of a run that was killed may have taken the installer that was sent, and finished with it, a moment ago.
if [ -n "$pushed" ] && ! [ -e "$pushed" ] && [ -e "$here/finished" ]; then exit 0; fi

# Tells once a second how far it is, as long as the remote shell lives; $1: download, install.
watch() {
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    if [ "$1" = download ]; then
      if [ -f "$part" ]; then say "$(wc -c <"$part")" 0 "bytes downloaded"; fi
    else
      set -- install "$p"/conda-meta/*.json; n=$(($# - 1))
      set -- install "$p"/pkgs/*/info; say $n $(($# - 1)) "packages installed"
    fi
  done
}

# Sets why, if the file $1 is not the installer that is wanted; $2: its sha256, if that was looked at on this host.
wrong() {
  why=
  if [ -n "$sum" ]; then
    got=${2:-$(sha256sum <"$1")}; got=${got%% *}
    [ "$got" = "$sum" ] || { why="its sha256 is $got, not $sum"; return 0; }
  fi
  case $(head -c 2 <"$1") in '#!') return 1 ;; esac
  why="it is not an installer"
}

# Downloads $1 to the file $2, resuming what is there. The URL goes through a pipe: it may hold a password.
download() {
  case $1 in
    file://*) cp -- "${1#file://}" "$2" 2>"$here/said" ;;
    *)
      if command -v curl >/dev/null; then
        printf 'url = "%s"\n' "$1" |
          curl -fsSL --connect-timeout 20 --speed-limit 1 --speed-time 60 -C - -o "$2" -K - 2>"$here/said"
      elif command -v wget >/dev/null; then
        printf '%s\n' "$1" | wget -nv -c -t 2 -T 60 -O "$2" -i - 2>"$here/said"
      else
        fail "neither curl nor wget is here: install one, or let 'installer' be a file on the controller"
      fi
      ;;
  esac
}

# Sets why, if the file $2 is not the installer after downloading it from $1.
attempt() {
  if ! download "$1" "$2"; then
    why=$(grep -m 1 '^curl: ' "$here/said" || tail -n 1 "$here/said")  # curl goes on to explain itself
    return 1
  fi
  if wrong "$2"; then rm -f "$2"; return 1; fi
}

# As attempt, for $part: goes on with what an earlier attempt left, or else begins anew (not every server can go on,
# and what is there may be bad). What came from another place is only gone on with if the hash is known.
fetch() {
  if [ -z "$sum" ] && [ "$(cat "$here/from" 2>/dev/null)" != "${1##*@}" ]; then rm -f "$part"; fi
  printf '%s\n' "${1##*@}" >"$here/from"
  if [ -s "$part" ]; then
    if [ -n "$sum" ] && ! wrong "$part"; then return 0; fi
    if attempt "$1" "$part"; then return 0; fi
    rm -f "$part.new"
    attempt "$1" "$part.new" && mv -f "$part.new" "$part"
  else
    attempt "$1" "$part"
  fi
}

part=$here/part
file=$pushed
if [ -n "$pushed" ]; then
  if wrong "$pushed" "$pushed_sum"; then fail "the installer that was sent cannot be used: $why"; fi
else
  file=$here/installer.sh
  reasons=
  watch download 9>&- &
  watcher=$!
  trap 'kill $watcher 2>/dev/null' EXIT
  for url; do
    case $url in *'{arch}'*) url=${url%%'{arch}'*}$arch${url#*'{arch}'} ;; esac
    if fetch "$url"; then mv -f "$part" "$file"; reasons=; break; fi
    case $url in *@*) url=${url%%://*}://${url##*@} ;; esac
    reasons="$reasons; $url: $why"
  done
  kill $watcher 2>/dev/null
  if [ -n "$reasons" ]; then fail "no place has the installer: ${reasons#; }"; fi
fi

# What has begun is noted before anything is touched. What was never finished is cleared away first, unless somebody
# has environments in it: then it is mended as it is.
if [ -e "$here/started" ]; then
  read -r before <"$here/started"
  for each in "$p"/envs/*/conda-meta/history "$p"/envs/.fleetenv/*/*/conda-meta/history; do
    if [ -e "$each" ]; then before=update; fi
  done
  if [ "$before" = update ]; then mode=update; fi
  if [ "$mode" = fresh ]; then
    find "$p" -mindepth 1 -maxdepth 1 ! -name .fleetenv -exec rm -rf -- {} + || exit 1
  fi
fi
printf '%s\n' "$mode" >"$here/started" || exit 1

shell=sh
case $(head -n 1 "$file") in *bash*) if command -v bash >/dev/null; then shell=bash; fi ;; esac
watch install 9>&- &
watcher=$!
trap 'kill $watcher 2>/dev/null' EXIT
install() {
  if ! $shell "$file" -b -u -p "$p" >"$here/log" 2>&1 </dev/null; then
    fail "the installer failed: $(tail -n 3 "$here/log" | tr '\n' ' ')"
  fi
}
works() { "$p/bin/python" -I -c '' && "$p/bin/conda" --version >/dev/null; }
install
# It passes over what conda-meta says is there already. Where that is not true, all of it is put in place anew.
if ! works 2>/dev/null; then
  rm -f "$p"/conda-meta/*.json
  install
  works || fail "the installed Python or conda does not start"
fi
if [ "$terms" = accept ]; then accept_terms "$p" || exit 1; fi
if [ -n "$owner" ]; then chown -R -- "$owner" "$p" || exit 1; fi
mv -f "$here/started" "$here/finished" || exit 1
rm -f "$file" "$part" "$part.new" "$here/from" "$here/said"
exit 0
