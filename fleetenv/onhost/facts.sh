# What 'setup' asks a host: NUL-separated names and texts, the environment last. Few programs are started.
fe_file() {
  [ -r "$1" ] || return
  printf '%s\0' "$2"
  while IFS= read -r l || [ -n "$l" ]; do printf '%s\n' "$l"; done < "$1"
  printf '\0'
}
printf 'uname\0'; uname -snrvm; printf '\0'
fe_file /etc/os-release release
fe_file /etc/debian_version debian
fe_file /proc/meminfo memory
fe_file /proc/uptime uptime
fe_file /etc/machine-id machine
fe_file /sys/class/dmi/id/product_name product
fe_file /sys/class/dmi/id/sys_vendor vendor
fe_file /proc/1/comm init
printf 'cpu\0'
LC_ALL=C sed -n -e '/^\(processor\|physical id\|core id\|model name\|vendor_id\)/p' \
  -e 's/^flags.* hypervisor\( .*\|$\)/hypervisor: yes/p' /proc/cpuinfo
printf '\0vcpus\0'; nproc 2>/dev/null
printf '\0fqdn\0'; hostname -f 2>/dev/null
printf '\0id\0'; id -u; id -g; id -un; printf '%s\n' "$HOME" "${SHELL-}"
printf '\0date\0'; date '+%s %z %Z'
# 8.8.8.8 is Ansible's choice, too: routes are looked up, nothing is sent
printf '\0address\0'; { ip -o -4 route get 8.8.8.8 || echo; ip -o address show; } 2>/dev/null
printf '\0interfaces\0'; for p in /sys/class/net/*; do echo "${p##*/}"; done
printf '\0python\0'
for p in python3 /usr/libexec/platform-python; do command -v $p && break; done
printf '\0selinux\0'
if [ -r /sys/fs/selinux/enforce ]; then read -r l < /sys/fs/selinux/enforce; echo "$l"; fi
printf '\0container\0'
if [ -e /.dockerenv ]; then echo docker
elif [ -e /run/.containerenv ]; then echo podman
elif [ -r /run/systemd/container ]; then read -r l < /run/systemd/container; echo "$l"
fi
printf '\0manager\0'
for p in dnf5 dnf yum apt-get zypper pacman apk; do
  if command -v $p > /dev/null; then echo $p; break; fi
done
printf '\0mounts\0'; sed -n '/^[^ ]*[/:]/p' /proc/mounts
printf '\0env\0'; env -0
:
