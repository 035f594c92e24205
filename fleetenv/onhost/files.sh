# What files on a host are like: NUL-separated records, asked for by fleetenv.modules.fileanswer.
# The host's shell keeps these functions and runs them in itself: all their names begin with fe_, and none ends it.
fe_look() {  # subjects: options, the sum that is wanted, the path; the lists below are references to them, for eval
  fe_i=0 fe_all='' fe_told='' fe_links='' fe_real='' fe_led='' fe_read='' fe_wanted='' fe_kinds=''
  for fe_x do
    fe_i=$((fe_i+1)) fe_o=${fe_x%%:*} fe_p=${fe_x#*:} fe_in=''
    case $fe_p in '~'|'~/'*) fe_p=$HOME${fe_p#?};; esac
    case $fe_o in i*)
      if [ -d "${fe_p%//*}" ]; then fe_in=1 fe_p=${fe_p%//*}/${fe_p##*//}; else fe_p=${fe_p%//*}; fi;;
    esac
    eval "fe_p$fe_i=\$fe_p"
    fe_v="\"\$fe_p$fe_i\""
    fe_l=''; [ -L "$fe_p" ] && fe_l=1
    if [ -z "$fe_l" ] && ! [ -e "$fe_p" ]; then fe_missing; continue; fi
    fe_all="$fe_all $fe_v"
    fe_told="$fe_told is \"\${$fe_i}\" $fe_v"
    [ -z "$fe_l" ] || fe_links="$fe_links $fe_v"
    case $fe_o in
      [sS]*) fe_may;;
      ?) ;;
      *)
        if [ -f "$fe_p" ] && [ -r "$fe_p" ]; then
          fe_read="$fe_read $fe_v"
          case $fe_o in ?'?') ;; *) fe_wanted="$fe_wanted ${fe_o#?} $fe_v";; esac
        elif [ -f "$fe_p" ]; then fe_told="$fe_told unreadable $fe_v"; fi;;
    esac
    case $fe_l$fe_o in
      1[fi]*) if [ -e "$fe_p" ]; then fe_real="$fe_real $fe_v" fe_led="$fe_led $fe_v"; fi;;
      1S*) fe_real="$fe_real $fe_v" fe_led="$fe_led $fe_v";;
      1s*) fe_real="$fe_real $fe_v";;
    esac
  done
  for fe_k in $fe_kinds; do fe_hash; done
  fe_sums=''
  if [ -n "$fe_all" ]; then
    [ -z "$fe_read" ] || fe_sums=$(eval "LC_ALL=C exec sha256sum -- $fe_read")
    eval "fe_stat $fe_all"
  fi
  eval "printf '%s\\0' $fe_told" '${fe_sums:+sums "$fe_sums"}'  # said at once: each write would be a packet
  [ -z "$fe_real" ] || eval "fe_follow $fe_real"
  [ -z "$fe_led" ] || eval "LC_ALL=C stat -L --printf 'led$fe_format' -- $fe_led"
  [ -z "$fe_sums" ] || [ -z "$fe_wanted" ] || eval "fe_content $fe_wanted"
  :
}
fe_format='\0%n\0%f %h %u %g %s %b %o %d %i %X %Y %Z\0%U\0%G\0'
fe_missing() {  # denied where the nearest folder that can be seen may not be searched
  fe_f=${fe_p%/*}
  while [ -n "$fe_f" ] && ! [ -e "$fe_f" ]; do case $fe_f in */*) fe_f=${fe_f%/*};; *) fe_f=.;; esac; done
  if [ -d "${fe_f:-/}" ] && ! [ -x "${fe_f:-/}" ]; then fe_told="$fe_told denied \"\${$fe_i}\""
  elif [ -z "$fe_in" ]; then fe_told="$fe_told absent \"\${$fe_i}\""
  else fe_told="$fe_told inside \"\${$fe_i}\" $fe_v"; fi
}
fe_may() {  # what may be done with it, and whether there is something to sum
  fe_r='' fe_c=''
  [ -r "$fe_p" ] && fe_r=r; [ -w "$fe_p" ] && fe_r=${fe_r}w; [ -x "$fe_p" ] && fe_r=${fe_r}x
  case $fe_o:$fe_l in
    ?:*|s*:1) ;;
    *)  # of what is empty the controller knows it; files of /proc only seem to be
      if ! [ -f "$fe_p" ] || ! [ -r "$fe_p" ]; then :
      elif [ -s "$fe_p" ] || { IFS= read -r fe_c <"$fe_p" || [ -n "$fe_c" ]; }; then
        fe_c=summed fe_k=${fe_o#?}
        case " $fe_kinds " in *" $fe_k "*) ;; *) fe_kinds="$fe_kinds $fe_k"; eval "fe_of_$fe_k=''";; esac
        eval "fe_of_$fe_k=\"\$fe_of_$fe_k \$fe_v\""
      else fe_c=empty; fi;;
  esac
  fe_told="$fe_told may \"\${$fe_i}\" \"$fe_r\" \"$fe_c\""
}
fe_hash() {  # all files of a kind of sum
  eval "fe_x=\$fe_of_$fe_k"
  fe_c=$(eval "LC_ALL=C exec ${fe_k}sum -- $fe_x")
  eval "fe_of_$fe_k=\$fe_c"
  fe_told="$fe_told hashes $fe_k \"\$fe_of_$fe_k\""
}
fe_stat() {  # links' targets along with all else where stat can tell them unquoted: GNU's, since 8.25
  if [ -z "$fe_links" ]; then LC_ALL=C stat --printf "stat$fe_format" -- "$@"; return; fi
  [ -n "$fe_literal" ] || eval "fe_try $fe_links"
  if [ "$fe_literal" = yes ]; then
    LC_ALL=C QUOTING_STYLE=literal stat --printf "stat${fe_format}to\\0%n\\0%N\\0" -- "$@"
  else
    LC_ALL=C stat --printf "stat$fe_format" -- "$@"
    eval "printf 'link\\0%s\\0' $fe_links; printf 'targets\\0'; LC_ALL=C readlink -z -- $fe_links"
  fi
}
fe_try() {  # once in a shell
  case $(LC_ALL=C QUOTING_STYLE=literal exec stat -c %N -- "$1") in "$1 -> "?*) fe_literal=yes;; *) fe_literal=no;; esac
}
fe_literal=''
fe_follow() { printf 'follow\0%s\0' "$@"; printf 'real\0'; LC_ALL=C readlink -mz -- "$@"; }
fe_content() {  # pairs: the sum that is wanted, the path
  fe_i=0 fe_x='
'
  while [ $# -gt 0 ] && [ "$fe_i" -lt @MOST@ ]; do
    case $fe_x$fe_sums$fe_x in
      *"$fe_x$1  $2$fe_x"*) ;;
      *) fe_i=$((fe_i+1)); printf 'content\0%s\0' "$2"; head -c @LIMIT@ -- "$2" | base64 -w 0; printf '\0';;
    esac
    shift 2
  done
}
