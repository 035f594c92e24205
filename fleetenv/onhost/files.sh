# What files on a host are like: NUL-separated records, asked for by fleetenv.modules.filestate.
fe_of() {  # a subject: options, the sha256 that is wanted, the path
  w=${1%%:*}; p=${1#*:}; i=
  case $p in '~'|'~/'*) p=$HOME${p#?};; esac
  case $w in i*) if [ -d "${p%//*}" ]; then i=1; p=${p%//*}/${p##*//}; else p=${p%//*}; fi;; esac
}
fe_missing() {  # denied where the nearest folder that can be seen may not be searched
  d=${p%/*}
  while [ -n "$d" ] && ! [ -e "$d" ]; do case $d in */*) d=${d%/*};; *) d=.;; esac; done
  if [ -d "${d:-/}" ] && ! [ -x "${d:-/}" ]; then printf 'denied\0%s\0' "$1"
  elif [ -z "$i" ]; then printf 'absent\0%s\0' "$1"
  else printf 'inside\0%s\0%s\0' "$1" "$p"; fi
}
fe_sum() {
  for s do  # the paths of those that are read take the subjects' places
    fe_of "$s"; shift
    [ -n "${w#?}" ] && [ -f "$p" ] || continue
    if [ -r "$p" ]; then set -- "$@" "$p"; else printf 'unreadable\0%s\0' "$p"; fi
  done
  [ $# -eq 0 ] || sums=$(LC_ALL=C exec sha256sum -- "$@")
}
fe_tell() {  # said at once: each write would be a packet
  links=
  for s do
    fe_of "$s"; shift; set -- "$@" is "$s" "$p"
    if [ -L "$p" ]; then links=1; set -- "$@" link "$p"; fi
  done
  printf '%s\0' "$@" ${sums:+sums "$sums"} ${links:+targets}
}
fe_stat() {
  for s do fe_of "$s"; shift; set -- "$@" "$p"; done
  LC_ALL=C stat --printf 'stat\0%n\0%f\0%U\0%u\0%G\0%g\0%s\0' -- "$@"
}
fe_targets() {
  for s do fe_of "$s"; shift; if [ -L "$p" ]; then set -- "$@" "$p"; fi; done
  LC_ALL=C readlink -z -- "$@"
}
fe_follow() {
  for s do
    fe_of "$s"; shift
    case $w in [fi]*) if [ -L "$p" ] && [ -e "$p" ]; then printf 'follow\0%s\0' "$p"; set -- "$@" "$p"; fi;; esac
  done
  [ $# -eq 0 ] || {
    printf 'real\0'; LC_ALL=C readlink -fz -- "$@"
    LC_ALL=C stat -L --printf 'led\0%n\0%f\0%U\0%u\0%G\0%g\0%s\0' -- "$@"
  }
}
fe_content() {
  c=0 nl='
'
  for s do
    fe_of "$s"; w=${w#?}
    if [ -z "$w" ] || [ "$w" = '?' ] || ! [ -f "$p" ] || ! [ -r "$p" ] || [ "$c" -ge @MOST@ ]; then continue; fi
    case $nl$sums$nl in
      *"$nl$w  $p$nl"*) ;;
      *) c=$((c + 1)); printf 'content\0%s\0' "$p"; head -c @LIMIT@ -- "$p" | base64 -w 0; printf '\0';;
    esac
  done
}
for s do
  fe_of "$s"; shift
  if [ -e "$p" ] || [ -L "$p" ]; then set -- "$@" "$s"; else fe_missing "$s"; fi
done
sums=
if [ $# -gt 0 ]; then
  fe_stat "$@"; fe_sum "$@"; fe_tell "$@"
  [ -z "$links" ] || fe_targets "$@"
  fe_follow "$@"
  [ -z "$sums" ] || fe_content "$@"
fi
:
