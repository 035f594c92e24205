# Accepts the terms of service of Anaconda's channels for all users of the installation at $1.
accept_terms() {
  set -- "$1" "$1"/conda-meta/conda-anaconda-tos-[0-9]*.json
  if [ -e "$2" ]; then  # else this conda does not ask for them
    "$1/bin/conda" tos accept --system --override-channels \
      --channel https://repo.anaconda.com/pkgs/main --channel https://repo.anaconda.com/pkgs/r >/dev/null
  fi
}
