# What can be set of the simulated GPUs: one file a setting and GPU, `persistence.0`, in a folder beside this program.
state=${0%/*}/@state@

settled() { # stdin with marks %NAME.GPU:DEFAULT% -> what was set, or the default
    script=
    for file in "$state"/*; do
        [ -f "$file" ] || continue
        read -r value <"$file"
        script="$script
s|%${file##*/}:[^%]*%|$value|g"
    done
    sed -e "$script" -e 's/%[a-z_]*\.[0-9]*:\([^%]*\)%/\1/g'
}

setting() { # NAME GPU DEFAULT
    if [ -f "$state/$1.$2" ]; then cat "$state/$1.$2"; else printf '%s\n' "$3"; fi
}

put() { # NAME GPU VALUE
    if ! { mkdir -p "$state" && printf '%s\n' "$3" >"$state/$1.$2"; } 2>/dev/null; then
        fail 4 "Unable to change a setting for GPU $2: Insufficient Permissions"
    fi
}

fail() { # STATUS TEXT
    printf '%s\nTerminating early due to previous errors.\n' "$2"
    exit "$1"
}

chosen() { # WHICH: indexes of the GPUs, of all when nothing is said
    if [ -z "$1" ]; then
        index=0
        while [ "$index" -lt @count@ ]; do
            echo "$index"
            index=$((index + 1))
        done
        return
    fi
    for name in $(printf '%s' "$1" | tr ',' ' '); do
        case $name in
@ids@
        *) echo 'No devices were found' >&2 ;;
        esac
    done
}

change() { # GPU SETTING VALUE
    case $2=$3 in
    -pm=0 | -pm=DISABLED) put persistence "$1" Disabled ;;
    -pm=1 | -pm=ENABLED) put persistence "$1" Enabled ;;
    -pl=*) limit_power "$1" "$3" ;;
    -c=0 | -c=DEFAULT) put compute_mode "$1" Default ;;
    -c=2 | -c=PROHIBITED) put compute_mode "$1" Prohibited ;;
    -c=3 | -c=EXCLUSIVE_PROCESS) put compute_mode "$1" Exclusive_Process ;;
    -e=[01])
        [ -n "@ecc@" ] || fail 3 "Unable to change ECC mode for GPU $1: Not Supported"
        if [ "$3" = 1 ]; then put ecc_pending "$1" Enabled; else put ecc_pending "$1" Disabled; fi
        echo "ECC of GPU $1 is switched at its next reset or reboot."
        ;;
    -mig=[01]) switch_mig "$1" "$3" ;;
    reset=)
        [ -z "@busy@" ] || fail 19 "GPU $1 is in use by another client"
        [ ! -f "$state/ecc_pending.$1" ] || put ecc "$1" "$(cat "$state/ecc_pending.$1")"
        [ ! -f "$state/mig_pending.$1" ] || put mig "$1" "$(cat "$state/mig_pending.$1")"
        ;;
    *) fail 2 "Invalid combination of input arguments: $2 $3" ;;
    esac
}

limit_power() { # GPU WATTS
    case $2 in '' | *[!0-9.]*) fail 2 "Invalid power limit $2" ;; esac
    if [ "${2%%.*}" -lt @least@ ] || [ "${2%%.*}" -gt @most@ ]; then
        fail 2 "Provided power limit $2 W is not a valid power limit which should be between @least@.00 W and @most@.00 W for GPU $1"
    fi
    case $2 in *.*) put power_limit "$1" "$2 W" ;; *) put power_limit "$1" "$2.00 W" ;; esac
}

switch_mig() { # GPU 0|1
    [ -n "@mig@" ] || fail 3 "Unable to change MIG Mode for GPU $1: Not Supported"
    if [ "$2" = 0 ] && [ -n "$(setting mig_profiles "$1" "")" ]; then
        fail 19 "Unable to disable MIG Mode for GPU $1: In use by another client"
    fi
    if [ "$2" = 1 ]; then mode=Enabled; else mode=Disabled; fi
    put mig_pending "$1" "$mode"
    if [ -n "@busy@" ]; then
        echo "Warning: MIG mode is in pending enable state for GPU $1:In use by another client"
    else
        put mig "$1" "$mode"
    fi
}

mig() { # -cgi PROFILES -C, -dci, -dgi; -i WHICH
    profiles= which= create= destroy= compute=
    while [ $# -gt 0 ]; do
        case $1 in
        -cgi) create=yes profiles=$2 && shift ;;
        -C) compute=yes ;;
        -dci) compute=no ;;
        -dgi) destroy=yes ;;
        -i) which=$2 && shift ;;
        *) fail 2 "Option \"$1\" is not recognized by the simulation." ;;
        esac
        shift
    done
    [ -z "$create" ] || [ "$compute" = yes ] || fail 2 "The simulation makes GPU instances with -C only."
    for gpu in $(chosen "$which"); do
        [ "$(setting mig "$gpu" Disabled)" = Enabled ] || fail 6 "No MIG-enabled devices found."
        if [ -n "$create" ]; then create_instances "$gpu" "$(printf '%s' "$profiles" | tr ',' ' ')"; fi
        if [ -n "$destroy" ]; then
            [ -z "$(setting mig_profiles "$gpu" "")" ] || [ -z "@busy@" ] || fail 19 "GPU $gpu is in use by another client"
            put mig_profiles "$gpu" "" && put mig_devices "$gpu" None
        fi
    done
}

create_instances() { # GPU PROFILES
    all="$(setting mig_profiles "$1" "") $2"
    slices=0 devices= index=0
    for profile in $all; do
        case $profile in
        [12347]g.*gb) ;;
        *) fail 2 "Unable to create a GPU instance on GPU $1 using profile $profile: Invalid Argument" ;;
        esac
        slices=$((slices + ${profile%%g.*}))
        memory=${profile#*g.}
        devices="$devices<mig_device><index>$index</index><gpu_instance_id>$((index + 1))</gpu_instance_id>"
        devices="$devices<compute_instance_id>0</compute_instance_id><fb_memory_usage>"
        devices="$devices<total>$((${memory%gb} * 1024)) MiB</total></fb_memory_usage></mig_device>"
        index=$((index + 1))
    done
    [ "$slices" -le 7 ] || fail 4 "Unable to create a GPU instance on GPU $1 using profile $2: Insufficient Resources"
    put mig_profiles "$1" "$all"
    put mig_devices "$1" "$devices"
}

mig_list() { # GPU: the lines below it in -L
    index=0
    for profile in $(setting mig_profiles "$1" ""); do
        printf '  MIG %-11s Device  %s: (UUID: MIG-simulated-%s-%s)\n' "$profile" "$index" "$1" "$index"
        index=$((index + 1))
    done
}

nvlink() { # -s or -e
    gpu=0
    while [ "$gpu" -lt @count@ ] && [ @nvlinks@ -gt 0 ]; do
        printf 'GPU %s: %s (UUID: simulated)\n' "$gpu" @model@
        link=0
        while [ "$link" -lt @nvlinks@ ]; do
            case $1 in
            -s | --status)
                if [ "$gpu" = 0 ] && [ "$link" -lt @nvlinks_down@ ]; then speed='<inactive>'; else speed='25 GB/s'; fi
                printf '\t Link %s: %s\n' "$link" "$speed"
                ;;
            *) printf '\t Link %s: %s Errors: 0\n' "$link" Replay "$link" Recovery "$link" CRC ;;
            esac
            link=$((link + 1))
        done
        gpu=$((gpu + 1))
    done
}

