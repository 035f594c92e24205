# Arguments: most bytes, most seconds, the text of mirror_speed.py. Answers as that does, after a line `tool NAME`.
bytes=$1 seconds=$2 program=$3
for python in /opt/*conda*/bin/python /opt/miniforge3/bin/python "$HOME"/mini*/bin/python python3; do
  if command -v "$python" >/dev/null 2>&1; then
    echo "tool python"
    exec "$python" -I -c "$program" "$bytes" "$seconds"
  fi
done
limit=
if command -v timeout >/dev/null 2>&1; then limit="timeout -k 2 $seconds"; fi
if command -v curl >/dev/null 2>&1; then
  echo "tool curl"
  while read -r number url; do # a URL may hold a password: it is nobody's argument
    said=$(printf 'url = "%s"\n' "$url" | curl -fsSL -K - -A fleetenv -r "0-$((bytes - 1))" -m "$seconds" -o /dev/null \
      -w '%{time_starttransfer} %{size_download} %{time_total}\n' 2>&1)
    status=$?
    found=$(printf '%s\n' "$said" | tail -n 1)
    case $status in
    0 | 28) echo "speed $number $found" ;; # 28: time is over
    *) echo "error $number $(printf '%s\n' "$said" | grep -m 1 '^curl: ')" ;;
    esac
  done
elif command -v wget >/dev/null 2>&1; then
  echo "tool wget"
  while read -r number url; do
    read -r begun rest </proc/uptime
    count=$(printf '%s\n' "$url" | $limit wget -q -U fleetenv -T "$seconds" -t 1 -i - -O - | head -c "$bytes" | wc -c)
    read -r ended rest </proc/uptime
    took=$(awk "BEGIN { print $ended - $begun + 0.005 }")
    if [ "$count" -gt 0 ]; then echo "speed $number 0 $count $took"; else echo "error $number wget got nothing"; fi
  done
else
  echo "tool none"
fi
