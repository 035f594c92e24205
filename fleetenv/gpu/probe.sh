# What a host is asked about its GPUs. It writes lines `KEY VALUE`, then `smi STATUS`, then what nvidia-smi wrote.
# The shell itself reads /sys and /proc; without nvidia-smi and amd-smi it starts nothing but modinfo. All output is
# bounded, and what talks to a GPU runs under timeout(1), because it hangs when a GPU does.
# probe.py writes what stands between @ signs.
(
PATH="$PATH:/usr/sbin:/sbin:/usr/lib/wsl/lib:/opt/rocm/bin"
LC_ALL=C
export PATH LC_ALL
has() { command -v "$1" >/dev/null 2>&1; }
limit= soon=
if has timeout; then limit="timeout -k 5 @seconds@" soon="timeout -k 5 20"; fi

nvidia= switches=
for d in /sys/bus/pci/devices/*; do
  { read -r vendor <"$d/vendor"; } 2>/dev/null || continue
  case $vendor in 0x10de | 0x1002) ;; *) continue ;; esac
  read -r class <"$d/class"
  read -r device <"$d/device"
  bus=${d##*/}
  driver=-
  for name in nouveau vfio-pci amdgpu; do [ -e "/sys/bus/pci/drivers/$name/$bus" ] && driver=$name; done
  case $vendor-$class in
  0x10de-0x0300* | 0x10de-0x0302*)
    [ -d "/proc/driver/nvidia/gpus/$bus" ] && driver=nvidia
    echo "slot $bus $device $driver"
    nvidia=yes
    ;;
  0x10de-0x0680*) # an NVSwitch, or the chipset of an old mainboard: those have device ids below 1000
    case $device in 0x0*) ;; *) echo "switch $bus $device"; switches=yes ;; esac
    ;;
  0x1002-0x0380* | 0x1002-0x1200* | 0x1002-0x0300*) echo "amd $bus $device $driver $class" ;;
  esac
done
[ -d /sys/module/nouveau ] && echo "nouveau loaded"
if [ -r /sys/module/nvidia/version ]; then read -r version </sys/module/nvidia/version; echo "module $version"; fi
if [ -r /proc/driver/nvidia/version ]; then read -r line </proc/driver/nvidia/version; echo "nvrm $line"; fi
for f in /usr/lib/*-linux-gnu/libnvidia-ml.so.*.* /usr/lib64/libnvidia-ml.so.*.* /usr/lib/libnvidia-ml.so.*.*; do
  if [ -e "$f" ]; then echo "library ${f##*libnvidia-ml.so.}"; break; fi
done
if has modinfo; then version=$(modinfo -F version nvidia 2>/dev/null) && echo "disk $version"; fi

status=absent out=
if has nvidia-smi; then
  # the lists of clocks are most of the document; on one line they are N/A
  out=$({
    $limit nvidia-smi -q -x </dev/null 2>&1
    ended=$?
    echo
    echo "ended $ended"
  } | sed -e '/<supported_clocks>.*<\/supported_clocks>/d' -e '/<supported_clocks>/,/<\/supported_clocks>/d' | head -c @bytes@)
  status=$(printf '%s\n' "$out" | tail -n 1)
  case $status in "ended "*) status=${status#ended } ;; *) status=cut ;; esac
fi

case $out in *'<pid>'*)
  pids=$(printf '%s\n' "$out" | sed -n 's/.*<pid>\([0-9]\{1,10\}\)<.*/\/proc\/\1/p' | head -n 500)
  stat -c 'user %n %U %u' $pids 2>/dev/null
  ;;
esac
case $out in *'<current_mig>Enabled<'*) $soon nvidia-smi -L </dev/null 2>/dev/null | head -c 200000 | sed 's/^/list /' ;; esac
case $out in *'<gpu id='*'<gpu id='*)
  links=$($soon nvidia-smi nvlink -s </dev/null 2>/dev/null | head -c 200000)
  case $links in *'Link 0: '*)
    printf '%s\n' "$links" | sed 's/^/link /'
    # since NVLink 5 most of it are counts of bytes, and of what FEC corrected
    $soon nvidia-smi nvlink -e </dev/null 2>/dev/null | head -c 4000000 |
      sed -n -e '/FEC Errors/d' -e '/^GPU /s/^/error /p' -e '/Errors: \|events: \|discards: /s/^/error /p' | head -c 400000
    ;;
  esac
  ;;
esac
if [ "$switches" ] || has nv-fabricmanager; then
  has nv-fabricmanager && version=$($soon nv-fabricmanager --version 2>/dev/null | tr "\n" " " | head -c 1000) && echo "fabric-version $version"
  has systemctl && echo "fabric-service $(systemctl is-active nvidia-fabricmanager 2>/dev/null | head -c 1000)"
fi

if [ -e /proc/driver/nvidia/version ] || [ "$status" != absent ]; then
  while read -r key value _; do [ "$key" = btime ] && echo "btime $value" && break; done 2>/dev/null </proc/stat
  journal() { # to a user who may not see the system's journal, journalctl shows none of it and succeeds
    case $out in *'@mark@'*) return 1 ;; esac
    $soon journalctl -k -b -q --no-pager -o short-unix 2>/dev/null | { read -r line && printf '%s\n' "$line" && cat; }
  }
  { dmesg 2>/dev/null || journal || echo "log denied"; } | grep -e 'NVRM: Xid (' -e ': SXid (' -e '^log denied' -e '@mark@' | tail -n @events@ | head -c 100000 | sed 's/^/kernel /'
fi

if [ "$status" = absent ] && [ ! "$nvidia" ]; then
  [ -r /sys/module/amdgpu/version ] && read -r version </sys/module/amdgpu/version && echo "amd-module $version"
  if has amd-smi; then
    for part in version static metric; do
      echo "amd-$part $($limit amd-smi "$part" --json </dev/null 2>/dev/null | tr '\n' ' ' | head -c @bytes@)"
    done
  elif has rocm-smi; then
    echo "rocm $($limit rocm-smi -a --json </dev/null 2>/dev/null | tr '\n' ' ' | head -c @bytes@)"
  fi
fi
@dcgm@
echo "smi $status"
[ "$status" = absent ] || printf '%s\n' "$out"
)
