# The simulated nvidia-smi, as it is put on lab hosts by nvidia_smi.py, which writes what stands between @ signs.
# `--query-gpu` prints one line a GPU, its cells joined by ', '; which cells is only known when it is called.

query_xml() {
    settled <<'END'
@xml@
END
}

column() { # FIELD INDEX: one cell
    field=$1 index=$2
    case $field in
@columns@
    *) return 1 ;;
    esac
    shift "$index"
    printf '%s' "$1"
}

without_unit() {
    case $1 in
    *' MiB' | *' W' | *' %' | *' MHz') printf '%s' "${1%% *}" ;;
    *) printf '%s' "$1" ;;
    esac
}

query_csv() { # FIELDS FORMAT
    fields=$(printf '%s' "$1" | tr ',' ' ')
    case ,$2, in *,csv,*) ;; *)
        echo 'Invalid combination of input arguments. Please run '"'nvidia-smi -h'"' for help.'
        exit 2
        ;;
    esac
    for field in $fields; do
        if ! column "$field" 0 >/dev/null; then
            printf 'Field "%s" is not a valid field to query.\n\n' "$field"
            exit 2
        fi
    done
    case ,$2, in *,noheader,*) ;; *)
        header=
        for field in $fields; do
            case ,$2,:$field in
            *,nounits,*) unit= ;;
            *:memory.*) unit=' [MiB]' ;;
            *:utilization.*) unit=' [%]' ;;
            *:power.*) unit=' [W]' ;;
            *) unit= ;;
            esac
            header="$header${header:+, }$field$unit"
        done
        printf '%s\n' "$header"
        ;;
    esac
    for index in $(chosen "$which"); do
        line=
        for field in $fields; do
            cell=$(column "$field" "$index")
            cell=$(printf '%s\n' "$cell" | settled)
            case ,$2, in *,nounits,*) cell=$(without_unit "$cell") ;; esac
            line="$line${line:+, }$cell"
        done
        printf '%s\n' "$line"
    done
}

list() {
    while read -r line; do
        printf '%s\n' "$line"
        index=${line#GPU }
        mig_list "${index%%:*}"
    done <<'END'
@list@
END
}

case $1 in
mig | nvlink)
    command=$1
    shift
    "$command" "$@"
    exit 0
    ;;
esac
query= as_xml= gpu_fields= format= which= list= settings=
while [ $# -gt 0 ]; do
    case $1 in
    -L | --list-gpus) list=yes ;;
    -i | --id) which=$2 && shift ;;
    --id=*) which=${1#*=} ;;
    -pm | -pl | -c | -e | -mig) settings="$settings $1=$2" && shift ;;
    --persistence-mode=*) settings="$settings -pm=${1#*=}" ;;
    --power-limit=*) settings="$settings -pl=${1#*=}" ;;
    --compute-mode=*) settings="$settings -c=${1#*=}" ;;
    --ecc-config=*) settings="$settings -e=${1#*=}" ;;
    --multi-instance-gpu=*) settings="$settings -mig=${1#*=}" ;;
    -r | --gpu-reset) settings="$settings reset=" ;;
    -q | --query) query=yes ;;
    -x | --xml-format) as_xml=yes ;;
    -qx | -xq) query=yes as_xml=yes ;;
    --query-gpu=*) gpu_fields=${1#*=} ;;
    --format=*) format=${1#*=} ;;
    *)
        printf 'Option "%s" is not recognized. Please run '"'nvidia-smi -h'.\n" "$1"
        exit 2
        ;;
    esac
    shift
done
if [ -n "$settings" ]; then
    for setting in $settings; do
        for gpu in $(chosen "$which"); do
            change "$gpu" "${setting%%=*}" "${setting#*=}"
        done
    done
    echo "All done."
elif [ -n "$list" ]; then
    list
elif [ -n "$gpu_fields" ]; then
    query_csv "$gpu_fields" "$format"
elif [ -n "$query$as_xml" ]; then
    query_xml
else
    cat <<'END'
@table@
END
fi
